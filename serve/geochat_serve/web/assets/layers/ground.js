// The ground under the image: metres on the WGS 84 ellipsoid, coordinates, the direction of north.

const MAJOR = 6378137; // metres
const ECCENTRICITY2 = 0.00669437999014;
const RADIANS = Math.PI / 180;

const lonlatOf = (point) => send("get-lonlat", { point, lonlat: null }).lonlat;

// A place in space: metres from the middle of the Earth.
function inSpace([longitude, latitude]) {
  const [sin, cos] = [Math.sin(latitude * RADIANS), Math.cos(latitude * RADIANS)];
  const normal = MAJOR / Math.sqrt(1 - ECCENTRICITY2 * sin * sin);
  return [normal * cos * Math.cos(longitude * RADIANS), normal * cos * Math.sin(longitude * RADIANS), normal * (1 - ECCENTRICITY2) * sin];
}

const between = (a, b, part) => [a[0] + (b[0] - a[0]) * part, a[1] + (b[1] - a[1]) * part];
const STEPS = 16; // of a side, so that the chords follow the ground

// Length of a path in metres, or in pixels of an image without a place on Earth.
function lengthOf(points) {
  let length = 0;
  for (let at = 1; at < points.length; at++) {
    const [a, b] = [points[at - 1], points[at]];
    if (!lonlatOf(a)) {
      length += Math.hypot(b[0] - a[0], b[1] - a[1]);
      continue;
    }
    let before = inSpace(lonlatOf(a));
    for (let step = 1; step <= STEPS; step++) {
      const here = inSpace(lonlatOf(between(a, b, step / STEPS)));
      length += Math.hypot(here[0] - before[0], here[1] - before[1], here[2] - before[2]);
      before = here;
    }
  }
  return length;
}

// Area of a polygon in square metres, on the plane that touches the ground in its middle; or in pixels.
function areaOf(points) {
  const middle = [0, 1].map((axis) => points.reduce((sum, point) => sum + point[axis], 0) / points.length);
  const place = lonlatOf(middle);
  let flat = points;
  if (place) {
    const [lon, lat] = place.map((degrees) => degrees * RADIANS);
    const origin = inSpace(place);
    flat = points.map((point) => {
      const [x, y, z] = inSpace(lonlatOf(point)).map((value, axis) => value - origin[axis]);
      const east = -Math.sin(lon) * x + Math.cos(lon) * y;
      return [east, -Math.sin(lat) * (Math.cos(lon) * x + Math.sin(lon) * y) + Math.cos(lat) * z];
    });
  }
  let twice = 0;
  flat.forEach(([x, y], at) => {
    const [nextX, nextY] = flat[(at + 1) % flat.length];
    twice += x * nextY - nextX * y;
  });
  return Math.abs(twice) / 2;
}

const rounded = (value) => (value >= 100 ? Math.round(value).toLocaleString("en") : value.toPrecision(3));

function lengthText(value) {
  if (!camera.scene.lonlat) return rounded(value) + " px";
  return value >= 10000 ? rounded(value / 1000) + " km" : rounded(value) + " m";
}

function areaText(value) {
  if (!camera.scene.lonlat) return rounded(value) + " px²";
  return value >= 1e6 ? rounded(value / 1e6) + " km²" : rounded(value) + " m²";
}

// How longitude and latitude change with x and y of the image: [[dlon/dx, dlon/dy], [dlat/dx, dlat/dy]].
function slopes([x, y], step) {
  const [left, right] = [lonlatOf([x - step, y]), lonlatOf([x + step, y])];
  const [up, down] = [lonlatOf([x, y - step]), lonlatOf([x, y + step])];
  return [0, 1].map((axis) => [(right[axis] - left[axis]) / (2 * step), (down[axis] - up[axis]) / (2 * step)]);
}

function solve([[a, b], [c, d]], [u, v]) {
  const scale = 1 / (a * d - b * c);
  return [(u * d - v * b) * scale, (v * a - u * c) * scale];
}

// The point of the image at a longitude and latitude, by Newton's method.
function pointAtLonlat([longitude, latitude]) {
  const { width, height } = camera.scene;
  let point = [width / 2, height / 2];
  for (let round = 0; round < 12; round++) {
    const here = lonlatOf(point);
    const east = ((longitude - here[0] + 540) % 360) - 180; // the short way round
    const [dx, dy] = solve(slopes(point, Math.max(1, Math.min(width, height) / 64)), [east, latitude - here[1]]);
    if (!Number.isFinite(dx + dy)) return null;
    point = [point[0] + dx, point[1] + dy];
    if (Math.hypot(dx, dy) < 0.01) break;
  }
  return point;
}

// The point of the image at "px x, y"; "map x, y" in the image's CRS; or "latitude, longitude".
function readPlace(text) {
  const { scene } = camera;
  const [, kind, rest] = /^\s*(px|map|)\s*(.*)$/i.exec(text);
  const numbers = rest.split(/[\s,;°]+/).filter(Boolean).map(Number);
  if (numbers.length !== 2 || !numbers.every(Number.isFinite)) throw new Error("Type two numbers: latitude, longitude; map x, y; or px x, y.");
  if (kind.toLowerCase() === "px" || (!kind && !scene.affine)) return numbers;
  if (!scene.affine) throw new Error("The image has no place on Earth; type px x, y.");
  if (kind.toLowerCase() === "map" || !scene.lonlat || Math.abs(numbers[0]) > 90 || Math.abs(numbers[1]) > 360) return fromMap(numbers);
  return pointAtLonlat([numbers[1], numbers[0]]);
}

function fromMap([mapX, mapY]) {
  const [a, b, c, d, e, f] = camera.scene.affine;
  return solve([[a, b], [d, e]], [mapX - c, mapY - f]);
}

function toMap([x, y]) {
  const [a, b, c, d, e, f] = camera.scene.affine ?? [1, 0, 0, 0, 1, 0];
  return [a * x + b * y + c, d * x + e * y + f];
}
