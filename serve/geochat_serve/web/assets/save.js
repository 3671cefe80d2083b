// Files that the server writes on request and the browser saves; the server keeps no copy.

const fileName = (response) => decodeURIComponent(response.headers.get("content-disposition").split("''")[1]);

function saveBlob(blob, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}

// Export a file; `tell` gets what to say while it is written, and what went wrong.
async function exportFile(values, text, tell) {
  tell(text);
  try {
    const response = await callServer("exports", values);
    saveBlob(await response.blob(), fileName(response));
    tell("");
  } catch (error) {
    tell(error.message);
  }
}
