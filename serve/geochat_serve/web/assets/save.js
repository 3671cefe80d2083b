// Files that the server writes on request and the browser saves; the server keeps no copy.

const fileName = (response) => decodeURIComponent(response.headers.get("content-disposition").split("''")[1]);

function saveBlob(blob, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}

// Tell the course of an export: words, and how much of the file has come, from 0 to 1; null where that is unknown.
function tellExport(place, text, part) {
  const [bar, percent] = [place.querySelector("progress"), place.querySelector(".gc-percent")];
  place.querySelector("[role=status]").textContent = text;
  bar.hidden = part === undefined;
  percent.textContent = part == null ? "" : Math.floor(part * 100) + " %";
  if (part == null) bar.removeAttribute("value");
  else bar.value = part;
}

// Read a response piece by piece; `told` gets the part that has come.
async function readBlob(response, told) {
  const size = Number(response.headers.get("content-length"));
  const [reader, pieces] = [response.body.getReader(), []];
  for (let got = 0, piece; !(piece = await reader.read()).done; ) {
    pieces.push(piece.value);
    got += piece.value.length;
    told(size ? Math.min(1, got / size) : null);
  }
  return new Blob(pieces, { type: response.headers.get("content-type") });
}

// Export a file; `place` holds what tells how it goes, and what went wrong.
async function exportFile(values, place) {
  tellExport(place, "Writing the file …", null);
  try {
    const response = await callServer("exports", values);
    const blob = await readBlob(response, (part) => tellExport(place, "Receiving the file …", part));
    saveBlob(blob, fileName(response));
    tellExport(place, "");
  } catch (error) {
    tellExport(place, error.message);
  }
}
