// A file arrives in base64 and the browser saves it; the server keeps no copy.

function save(file) {
  const bytes = Uint8Array.from(atob(file.content), (letter) => letter.charCodeAt(0));
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([bytes], { type: file.type }));
  link.download = file.name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}

watch("file", () => props.file && save(JSON.parse(props.file)));
