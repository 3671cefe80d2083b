// Tiles of the image, fetched where the overview has too few pixels, and of the image layers over it. They are kept: by
// the tab for a while, by the browser for long. While a tile is on its way, a coarser one or the overview shows through.

const TILE = 512; // pixels a side
const MOST_TILES = 160; // of an image, held by the tab, about a megabyte each
const AT_ONCE = 6; // requests of an image

// The tiles of an image; `layer` is the id of an image layer, "" for the open image.
function makeTiles(layer) {
  return {
    layer,
    held: new Map(), // "level/column/row" -> {picture, window, level}, the one used longest ago first
    wanted: [], // keys to be fetched, most urgent first
    fetching: new Map(), // key -> AbortController
    scene: null, // what they are of: the id of the rendering; for a layer, of the image under it
  };
}

const tiles = makeTiles("");

// The level at which a tile's pixel is no larger than one on the screen.
function levelNeeded() {
  return Math.max(0, Math.floor(Math.log2(1 / (camera.scale * (window.devicePixelRatio || 1))) + 0.2));
}

// The same for the open image; -1 where the overview suffices.
function tileLevel() {
  const density = pictures.overview.naturalWidth / camera.scene.width;
  const needed = camera.scale * (window.devicePixelRatio || 1);
  return density > 0.99 || needed < density * 1.15 ? -1 : levelNeeded();
}

function tileWindow(level, column, row) {
  const side = TILE * 2 ** level;
  const { width, height } = camera.scene;
  return [column * side, row * side, Math.min(side, width - column * side), Math.min(side, height - row * side)];
}

function requestTiles() {
  if (!camera.scene || !pictures.overview) return;
  const { id, image_id: image, width, height } = camera.scene;
  requestFrom(tiles, id, tileLevel(), [0, 0, width, height]);
  for (const each of imageLayers) requestFrom(each.tiles, image, isDrawn(each) ? levelNeeded() : -1, each.bounds);
}

// Ask for the tiles in view of a level, -1 for none.
function requestFrom(store, scene, level, bounds) {
  if (store.scene !== scene) dropTiles(store);
  store.scene = scene;
  store.wanted = level < 0 ? [] : visibleTiles(level, bounds).filter((key) => !store.held.has(key));
  for (const [key, request] of store.fetching) if (!store.wanted.includes(key)) request.abort();
  fetchTiles(store);
}

// The tiles in view, from the middle outwards.
function visibleTiles(level, bounds) {
  const [left, top, width, height] = camera.window();
  const side = TILE * 2 ** level;
  const [x1, y1, x2, y2] = [Math.max(left, bounds[0]), Math.max(top, bounds[1]), Math.min(left + width, bounds[2]), Math.min(top + height, bounds[3])];
  const found = [];
  for (let row = Math.floor(y1 / side); row * side < y2; row++) {
    for (let column = Math.floor(x1 / side); column * side < x2; column++) {
      const away = Math.hypot((column + 0.5) * side - left - width / 2, (row + 0.5) * side - top - height / 2);
      found.push([away, level + "/" + column + "/" + row]);
    }
  }
  return found.sort((a, b) => a[0] - b[0]).map(([, key]) => key);
}

function fetchTiles(store) {
  for (const key of store.wanted) {
    if (store.fetching.size >= AT_ONCE) return;
    if (!store.fetching.has(key)) fetchTile(store, key);
  }
}

async function fetchTile(store, key) {
  const request = new AbortController();
  store.fetching.set(key, request);
  const scene = store.scene;
  try {
    const address = [camera.scene.id, store.layer, key].filter(Boolean).join("/");
    const response = await callServer("tiles/" + address, undefined, request.signal);
    const picture = await createImageBitmap(await response.blob());
    if (scene !== store.scene) return;
    const [level, column, row] = key.split("/").map(Number);
    store.held.set(key, { picture, level, window: tileWindow(level, column, row) });
    for (const [oldest, { picture: dropped }] of store.held) {
      if (store.held.size <= MOST_TILES) break;
      store.held.delete(oldest);
      dropped.close();
    }
    paint();
  } catch {
    // out of view, or the connection broke: asked for again when the view moves
  } finally {
    store.fetching.delete(key);
    store.wanted = store.wanted.filter((other) => other !== key);
    fetchTiles(store);
  }
}

function dropTiles(store) {
  for (const { picture } of store.held.values()) picture.close();
  for (const request of store.fetching.values()) request.abort();
  store.held.clear();
  store.wanted = [];
  store.scene = null;
}

// The tiles held of a level and of coarser ones, these first, so that fine ones cover them.
function tilesToDraw(store, level) {
  const shown = [...store.held].filter(([, tile]) => tile.level >= level);
  shown.sort(([, a], [, b]) => b.level - a.level);
  for (const [key, tile] of shown) {
    store.held.delete(key);
    store.held.set(key, tile); // used last
  }
  return shown.map(([, tile]) => tile);
}

function paintTiles(pen) {
  const level = tileLevel();
  if (tiles.scene !== camera.scene.id || level < 0) return;
  for (const tile of tilesToDraw(tiles, level)) draw(pen, tile.picture, tile.window);
}
