// The line below the image: scale bar, cursor in pixels, on the map, in degrees, and the zoom.

const show = (name, text) => (element.querySelector(".gv-" + name).textContent = text);

function showCursor(screen) {
  const scene = camera.scene;
  if (!scene) return;
  const [x, y] = camera.toImage(screen);
  const inside = x >= 0 && y >= 0 && x < scene.width && y < scene.height;
  show("pixel", inside ? "x " + Math.floor(x) + "  y " + Math.floor(y) : "");
  if (!inside || !scene.affine) {
    show("map", "");
    show("lonlat", "");
    return;
  }
  const [a, b, c, d, e, f] = scene.affine;
  const [mx, my] = [a * x + b * y + c, d * x + e * y + f];
  const digits = Math.abs(a) < 0.01 ? 6 : 1;
  show("map", (scene.crs ? scene.crs + "  " : "") + mx.toFixed(digits) + ", " + my.toFixed(digits));
  show("lonlat", scene.lonlat ? degrees(lonlatAt(x, y)) : "");
}

// Between the grid's points, longitude and latitude are interpolated.
function lonlatAt(x, y) {
  const { lonlat, width, height } = camera.scene;
  const last = lonlat.length - 1;
  const [u, v] = [(x / width) * last, (y / height) * last];
  const [i, j] = [Math.min(Math.floor(u), last - 1), Math.min(Math.floor(v), last - 1)];
  const mix = (p, q, t) => [p[0] + (q[0] - p[0]) * t, p[1] + (q[1] - p[1]) * t];
  return mix(mix(lonlat[j][i], lonlat[j][i + 1], u - i), mix(lonlat[j + 1][i], lonlat[j + 1][i + 1], u - i), v - j);
}

function degrees([lon, lat]) {
  const east = ((lon + 540) % 360) - 180;
  return Math.abs(lat).toFixed(6) + "° " + (lat < 0 ? "S" : "N") + "  " + Math.abs(east).toFixed(6) + "° " + (east < 0 ? "W" : "E");
}

function showScale() {
  const bar = element.querySelector(".gv-scale");
  const scene = camera.scene;
  bar.hidden = !scene?.gsd;
  show("zoom", scene ? Math.round(camera.scale * 100) + " %" : "");
  if (bar.hidden) return;
  const most = (110 / camera.scale) * scene.gsd; // metres in 110 pixels
  const power = 10 ** Math.floor(Math.log10(most));
  const length = [5, 2, 1].map((step) => step * power).find((step) => step <= most);
  bar.querySelector("i").style.width = (length / scene.gsd) * camera.scale + "px";
  bar.querySelector("b").textContent = length >= 1000 ? length / 1000 + " km" : length >= 1 ? length + " m" : Math.round(length * 100) + " cm";
}
