// Calls of the page's own routes, with the key of the tab's session.

const KEY_WAIT_MS = 10000; // then the call is made all the same, and says what is wrong

// The page stores the key once it has loaded; a call before that would be refused.
function keyStored() {
  if (window.geochatKeyStored) return Promise.resolve();
  return new Promise((resolve) => {
    document.addEventListener("geochat:key", resolve, { once: true });
    setTimeout(resolve, KEY_WAIT_MS);
  });
}

async function callServer(path, body, signal) {
  await keyStored();
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
