// Calls of the page's own routes, with the key of the tab's session.

async function callServer(path, body, signal) {
  const response = await fetch(location.pathname.replace(/[^/]*$/, "") + "page/" + path, {
    method: body === undefined ? "GET" : "POST",
    headers: { "content-type": "application/json", "x-geochat-session": sessionStorage.getItem("geochat-session") || "" },
    body: body === undefined ? undefined : JSON.stringify(body),
    signal,
  });
  if (response.ok) return response;
  const text = await response.text();
  let said = text.slice(0, 300);
  try {
    said = JSON.parse(text).error ?? said;
  } catch (_) {
    // not JSON: the text as it is
  }
  throw new Error(said || "The server answered " + response.status + ".");
}

const callJson = async (path, body) => (await callServer(path, body)).json();

function node(tag, properties = {}, ...children) {
  const { dataset, ...rest } = properties;
  const made = Object.assign(document.createElement(tag), rest);
  Object.assign(made.dataset, dataset);
  made.append(...children);
  return made;
}
