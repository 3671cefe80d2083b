// The picture on the canvas: the overview, and over it the part that was fetched in full detail.

const canvas = element.querySelector(".gv-canvas");
const pictures = { overview: null, detail: null, detailWindow: null };

function loadPicture(source) {
  return new Promise((resolve, reject) => {
    const picture = new Image();
    picture.onload = () => resolve(picture);
    picture.onerror = () => reject(new Error("the picture could not be shown"));
    picture.src = source;
  });
}

function paint() {
  const dpr = window.devicePixelRatio || 1;
  const width = Math.round(camera.width * dpr);
  const height = Math.round(camera.height * dpr);
  if (canvas.width !== width || canvas.height !== height) [canvas.width, canvas.height] = [width, height];
  const pen = canvas.getContext("2d");
  pen.setTransform(1, 0, 0, 1, 0, 0);
  pen.clearRect(0, 0, width, height);
  if (!camera.scene || !pictures.overview) return;
  pen.setTransform(dpr, 0, 0, dpr, 0, 0);
  draw(pen, pictures.overview, [0, 0, camera.scene.width, camera.scene.height]);
  if (pictures.detail) draw(pen, pictures.detail, pictures.detailWindow);
}

// Draw the visible part of a picture that shows a window of the image.
function draw(pen, picture, [column, row, width, height]) {
  const [left, top, visibleWidth, visibleHeight] = camera.window();
  const x1 = Math.max(left, column);
  const y1 = Math.max(top, row);
  const x2 = Math.min(left + visibleWidth, column + width);
  const y2 = Math.min(top + visibleHeight, row + height);
  if (x2 <= x1 || y2 <= y1) return;
  const perPixel = picture.naturalWidth / width; // picture pixels a pixel of the whole image
  pen.imageSmoothingEnabled = camera.scale < perPixel * 3;
  pen.imageSmoothingQuality = "high";
  pen.drawImage(
    picture,
    (x1 - column) * perPixel,
    ((y1 - row) * picture.naturalHeight) / height,
    (x2 - x1) * perPixel,
    ((y2 - y1) * picture.naturalHeight) / height,
    ...camera.toScreen([x1, y1]),
    (x2 - x1) * camera.scale,
    (y2 - y1) * camera.scale,
  );
}

// Ask for detail once the view rests on a part of which the overview does not hold every pixel.
let detailTimer = null;
function wantDetail() {
  clearTimeout(detailTimer);
  if (!pictures.overview) return;
  const held = pictures.overview.naturalWidth / camera.scene.width;
  if (held > 0.99 || camera.scale * (window.devicePixelRatio || 1) < held * 1.15) return;
  detailTimer = setTimeout(() => {
    trigger("detail", { scene: camera.scene.id, window: camera.window() });
  }, 300);
}

watch("detail", async () => {
  const detail = props.detail && JSON.parse(props.detail);
  if (!detail || detail.scene !== camera.scene?.id) return;
  const picture = await loadPicture(detail.source);
  if (detail.scene !== camera.scene?.id) return;
  [pictures.detail, pictures.detailWindow] = [picture, detail.window];
  paint();
});
