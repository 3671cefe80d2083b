"""The web chat: a Gradio app and its scene viewer."""
