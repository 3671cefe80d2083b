// Parts of the page talk by events of the document, named `geochat:…`; this file comes first in the script of each part.

const send = (name, detail = {}) => {
  document.dispatchEvent(new CustomEvent("geochat:" + name, { detail }));
  return detail;
};
const listen = (name, handler) => document.addEventListener("geochat:" + name, ({ detail }) => handler(detail));
