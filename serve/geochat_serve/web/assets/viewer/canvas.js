// The camera: which part of the image is on the stage. screen = image * scale + (x, y), in CSS pixels.

const camera = {
  scale: 1,
  x: 0,
  y: 0,
  width: 1, // size of the stage
  height: 1,
  scene: null,

  toScreen([x, y]) {
    return [x * this.scale + this.x, y * this.scale + this.y];
  },

  toImage([x, y]) {
    return [(x - this.x) / this.scale, (y - this.y) / this.scale];
  },

  fitScale() {
    return Math.min(this.width / this.scene.width, this.height / this.scene.height);
  },

  fit() {
    if (!this.scene) return;
    this.scale = this.fitScale() * (this.width > 500 ? 0.96 : 1);
    this.x = (this.width - this.scene.width * this.scale) / 2;
    this.y = (this.height - this.scene.height * this.scale) / 2;
  },

  // Show a part of the image (left, top, right, bottom) in the middle of the stage, so that it takes `share` of it.
  show([left, top, right, bottom], share) {
    const fit = Math.min(this.width / Math.max(right - left, 1), this.height / Math.max(bottom - top, 1)) * share;
    this.look([(left + right) / 2, (top + bottom) / 2], Math.min(fit, Math.max(8, this.fitScale())));
  },

  middle() {
    return this.toImage([this.width / 2, this.height / 2]);
  },

  // Show a point of the image in the middle of the stage.
  look([x, y], scale) {
    this.scale = scale;
    this.x = this.width / 2 - x * scale;
    this.y = this.height / 2 - y * scale;
    this.clamp();
  },

  // Zoom, keeping the image point under (x, y) in place.
  zoomAt(factor, [x, y]) {
    if (!this.scene) return;
    const least = Math.min(this.fitScale() / 4, 1);
    const scale = Math.min(Math.max(this.scale * factor, least), 64);
    this.x = x - ((x - this.x) * scale) / this.scale;
    this.y = y - ((y - this.y) * scale) / this.scale;
    this.scale = scale;
    this.clamp();
  },

  pan(dx, dy) {
    this.x += dx;
    this.y += dy;
    this.clamp();
  },

  // Keep a part of the image on the stage.
  clamp() {
    if (!this.scene) return;
    const margin = Math.min(80, this.width / 4, this.height / 4);
    this.x = Math.min(Math.max(this.x, margin - this.scene.width * this.scale), this.width - margin);
    this.y = Math.min(Math.max(this.y, margin - this.scene.height * this.scale), this.height - margin);
  },

  // The visible part of the image: column, row, width, height.
  window() {
    const [left, top] = this.toImage([0, 0]).map((v) => Math.max(0, v));
    const [right, bottom] = this.toImage([this.width, this.height]);
    return [
      left,
      top,
      Math.max(0, Math.min(right, this.scene.width) - left),
      Math.max(0, Math.min(bottom, this.scene.height) - top),
    ];
  },
};

// The canvas: the overview and, over it, tiles of the visible part.
const canvas = element.querySelector(".gv-canvas");
const pictures = { overview: null };

function loadPicture(source) {
  return new Promise((resolve, reject) => {
    const picture = new Image();
    picture.onload = () => resolve(picture);
    picture.onerror = () => reject(new Error("the picture cannot be shown"));
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
  paintTiles(pen);
  paintImages(pen);
}

// Draw the visible part of a picture of a window of the image.
function draw(pen, picture, [column, row, width, height]) {
  const [left, top, visibleWidth, visibleHeight] = camera.window();
  const x1 = Math.max(left, column);
  const y1 = Math.max(top, row);
  const x2 = Math.min(left + visibleWidth, column + width);
  const y2 = Math.min(top + visibleHeight, row + height);
  if (x2 <= x1 || y2 <= y1) return;
  const perPixel = (picture.naturalWidth ?? picture.width) / width; // picture pixels per image pixel
  const perRow = (picture.naturalHeight ?? picture.height) / height;
  pen.imageSmoothingEnabled = camera.scale < perPixel * 3;
  pen.imageSmoothingQuality = "high";
  pen.drawImage(
    picture,
    (x1 - column) * perPixel,
    (y1 - row) * perRow,
    (x2 - x1) * perPixel,
    (y2 - y1) * perRow,
    ...camera.toScreen([x1, y1]),
    (x2 - x1) * camera.scale,
    (y2 - y1) * camera.scale,
  );
}
