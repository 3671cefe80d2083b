// What part of the image is on the stage: screen = image * scale + (x, y), in CSS pixels.

const camera = {
  scale: 1,
  x: 0,
  y: 0,
  width: 1, // of the stage
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

  // Keep the image point under (x, y) where it is.
  zoomAt(factor, [x, y]) {
    if (!this.scene) return;
    const least = Math.min(this.fitScale() / 4, 1);
    const scale = Math.min(Math.max(this.scale * factor, least), 64);
    this.x = x - ((x - this.x) * scale) / this.scale;
    this.y = y - ((y - this.y) * scale) / this.scale;
    this.scale = scale;
    this.hold();
  },

  pan(dx, dy) {
    this.x += dx;
    this.y += dy;
    this.hold();
  },

  // Never lose the image: a part of it stays on the stage.
  hold() {
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
