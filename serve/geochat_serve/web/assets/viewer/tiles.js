// Tiles of the image, fetched where the overview has too few pixels, and kept: by the tab for a while, by the browser for
// long. While a tile is on its way, a coarser one or the overview shows through.

const TILE = 512; // pixels a side
const MOST_TILES = 160; // held by the tab, about a megabyte each
const AT_ONCE = 6; // requests
const tiles = {
  held: new Map(), // "level/column/row" -> {picture, window, level}, the one used longest ago first
  wanted: [], // keys to be fetched, most urgent first
  fetching: new Map(), // key -> AbortController
  scene: null, // id of the rendering they are of
};

// The level at which a tile's pixel is no larger than one on the screen; -1 where the overview suffices.
function tileLevel() {
  const density = pictures.overview.naturalWidth / camera.scene.width;
  const needed = camera.scale * (window.devicePixelRatio || 1);
  if (density > 0.99 || needed < density * 1.15) return -1;
  return Math.max(0, Math.floor(Math.log2(1 / needed) + 0.2));
}

function tileWindow(level, column, row) {
  const side = TILE * 2 ** level;
  const { width, height } = camera.scene;
  return [column * side, row * side, Math.min(side, width - column * side), Math.min(side, height - row * side)];
}

function requestTiles() {
  if (!camera.scene || !pictures.overview) return;
  if (tiles.scene !== camera.scene.id) dropTiles();
  tiles.scene = camera.scene.id;
  const level = tileLevel();
  tiles.wanted = level < 0 ? [] : visibleTiles(level).filter((key) => !tiles.held.has(key));
  for (const [key, request] of tiles.fetching) if (!tiles.wanted.includes(key)) request.abort();
  fetchTiles();
}

// The tiles in view, from the middle outwards.
function visibleTiles(level) {
  const [left, top, width, height] = camera.window();
  const side = TILE * 2 ** level;
  const found = [];
  for (let row = Math.floor(top / side); row * side < top + height; row++) {
    for (let column = Math.floor(left / side); column * side < left + width; column++) {
      const away = Math.hypot((column + 0.5) * side - left - width / 2, (row + 0.5) * side - top - height / 2);
      found.push([away, level + "/" + column + "/" + row]);
    }
  }
  return found.sort((a, b) => a[0] - b[0]).map(([, key]) => key);
}

function fetchTiles() {
  for (const key of tiles.wanted) {
    if (tiles.fetching.size >= AT_ONCE) return;
    if (!tiles.fetching.has(key)) fetchTile(key);
  }
}

async function fetchTile(key) {
  const request = new AbortController();
  tiles.fetching.set(key, request);
  const scene = tiles.scene;
  try {
    const response = await callServer("tiles/" + scene + "/" + key, undefined, request.signal);
    const picture = await createImageBitmap(await response.blob());
    if (scene !== camera.scene?.id) return;
    const [level, column, row] = key.split("/").map(Number);
    tiles.held.set(key, { picture, level, window: tileWindow(level, column, row) });
    for (const [oldest, { picture: dropped }] of tiles.held) {
      if (tiles.held.size <= MOST_TILES) break;
      tiles.held.delete(oldest);
      dropped.close();
    }
    paint();
  } catch {
    // out of view, or the connection broke: asked for again when the view moves
  } finally {
    tiles.fetching.delete(key);
    tiles.wanted = tiles.wanted.filter((other) => other !== key);
    fetchTiles();
  }
}

function dropTiles() {
  for (const { picture } of tiles.held.values()) picture.close();
  for (const request of tiles.fetching.values()) request.abort();
  tiles.held.clear();
  tiles.wanted = [];
}

// Coarse tiles first, so that fine ones cover them.
function paintTiles(pen) {
  if (tiles.scene !== camera.scene.id) return;
  const level = tileLevel();
  if (level < 0) return;
  const shown = [...tiles.held].filter(([, tile]) => tile.level >= level);
  shown.sort(([, a], [, b]) => b.level - a.level);
  for (const [key, tile] of shown) {
    draw(pen, tile.picture, tile.window);
    tiles.held.delete(key);
    tiles.held.set(key, tile); // used last
  }
}
