// Geometry in pixels of the whole image, y down; angles in degrees, clockwise on screen.

const radians = (degrees) => (degrees * Math.PI) / 180;

function rotatePoint([x, y], degrees) {
  const cos = Math.cos(radians(degrees));
  const sin = Math.sin(radians(degrees));
  return [x * cos - y * sin, x * sin + y * cos];
}

// A region is {cx, cy, w, h, angle}: its centre, its sides before rotation, and the rotation.
function corners(r) {
  return [[-1, -1], [1, -1], [1, 1], [-1, 1]].map((corner) => pointAt(r, corner));
}

// The point of a region at (hx, hy), each -1, 0 or 1: a corner, the middle of a side or the centre.
function pointAt(r, [hx, hy]) {
  const [x, y] = rotatePoint([(hx * r.w) / 2, (hy * r.h) / 2], r.angle);
  return [r.cx + x, r.cy + y];
}

function fromCorners([x1, y1], [x2, y2]) {
  return { cx: (x1 + x2) / 2, cy: (y1 + y2) / 2, w: Math.abs(x2 - x1), h: Math.abs(y2 - y1), angle: 0 };
}

// The region of four corners in order, such as those of an answer's box; of another polygon or a point, the upright one
// around it.
function fromPoints(points) {
  if (points.length !== 4) {
    const [xs, ys] = [0, 1].map((axis) => points.map((point) => point[axis]));
    return fromCorners([Math.min(...xs), Math.min(...ys)], [Math.max(...xs), Math.max(...ys)]);
  }
  const [a, b, c] = points;
  return {
    cx: (a[0] + c[0]) / 2,
    cy: (a[1] + c[1]) / 2,
    w: Math.hypot(b[0] - a[0], b[1] - a[1]),
    h: Math.hypot(c[0] - b[0], c[1] - b[1]),
    angle: (Math.atan2(b[1] - a[1], b[0] - a[0]) * 180) / Math.PI,
  };
}

// Drag the handle (hx, hy) to a point; the opposite side stays in place.
function resized(r, [hx, hy], point) {
  const [px, py] = rotatePoint([point[0] - r.cx, point[1] - r.cy], -r.angle);
  const anchor = [(-hx * r.w) / 2, (-hy * r.h) / 2];
  const w = hx ? Math.max(1, Math.abs(px - anchor[0])) : r.w;
  const h = hy ? Math.max(1, Math.abs(py - anchor[1])) : r.h;
  const middle = [hx ? (px + anchor[0]) / 2 : 0, hy ? (py + anchor[1]) / 2 : 0];
  const [dx, dy] = rotatePoint(middle, r.angle);
  return { ...r, cx: r.cx + dx, cy: r.cy + dy, w, h };
}

// Rotate the middle of the top side (-1) or the bottom side (1) towards a point, in steps of `step` degrees.
function rotatedTowards(r, point, step, side) {
  const degrees = (Math.atan2(point[1] - r.cy, point[0] - r.cx) * 180) / Math.PI - side * 90;
  return { ...r, angle: ((Math.round(degrees / step) * step) % 360 + 360) % 360 };
}

function contains(r, point) {
  const [x, y] = rotatePoint([point[0] - r.cx, point[1] - r.cy], -r.angle);
  return Math.abs(x) <= r.w / 2 && Math.abs(y) <= r.h / 2;
}

// The server's form: x1, y1, x2, y2 before rotation, and the rotation.
const toNumbers = (r) => [r.cx - r.w / 2, r.cy - r.h / 2, r.cx + r.w / 2, r.cy + r.h / 2, r.angle];
const fromNumbers = ([x1, y1, x2, y2, angle]) => ({ ...fromCorners([x1, y1], [x2, y2]), angle });
