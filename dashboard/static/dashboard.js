"use strict";
// Keeps pages up to date while someone looks: two events that pieces of pages wait for. Draws charts.
(() => {
  const often = 2000, slowEvery = 5;
  const live = document.getElementById("live"), pause = document.getElementById("pause");
  const away = document.getElementById("away");
  let turn = 0, paused = false;

  const watched = () => document.querySelector(".live:not([data-once])") !== null;
  const pointsAtChart = () => document.querySelector(".u-over:hover") !== null;

  const clock = () => new Date().toISOString().slice(11, 19) + " UTC";

  function ages() {
    for (const each of document.querySelectorAll("time[data-ago]")) {
      const seconds = Math.max(0, Math.round((Date.now() - Date.parse(each.dateTime)) / 1000));
      const [n, unit] = seconds < 60 ? [seconds, "s"] : seconds < 3600 ? [Math.floor(seconds / 60), "min"]
        : seconds < 172800 ? [Math.floor(seconds / 3600), "h"] : [Math.floor(seconds / 86400), "days"];
      each.textContent = `${n} ${unit} ago`;
    }
  }

  setInterval(() => {
    if (document.hidden || paused || !watched()) return;
    ages();
    if (pointsAtChart()) return;
    htmx.trigger(document.body, "tick");
    if (++turn % slowEvery === 0) htmx.trigger(document.body, "slow");
  }, often);
  document.addEventListener("visibilitychange", () => {
    if (!document.hidden && !paused && watched()) htmx.trigger(document.body, "tick");
  });

  if (watched()) {
    pause.hidden = false;
    live.textContent = "Live.";
    pause.addEventListener("click", () => {
      paused = !paused;
      pause.setAttribute("aria-pressed", String(paused));
      pause.textContent = paused ? "Go on" : "Pause";
      live.textContent = paused ? `As of ${clock()}.` : "Live.";
    });
  }

  // What the user has opened stays open when a piece is renewed.
  const opened = new Set();
  document.body.addEventListener("htmx:beforeSwap", (event) => {
    for (const each of event.detail.target.querySelectorAll("details[id]")) {
      if (each.open) opened.add(each.id); else opened.delete(each.id);
    }
  });
  function failed(event, text) {
    const once = event.detail.elt.closest("[data-once]");
    once?.replaceChildren();
    away.textContent = once ? "No answer came. Reload the page to ask again." : text;
    away.hidden = false;
  }
  document.body.addEventListener("htmx:afterRequest", (event) => {
    if (!event.detail.xhr?.status) return;
    if (event.detail.xhr.status >= 500) {
      failed(event, "The dashboard could not answer; what you see may be old. It asks again.");
      return;
    }
    away.hidden = true;
    if (!paused && watched()) live.textContent = `Live, as of ${clock()}.`;
  });
  for (const name of ["htmx:sendError", "htmx:timeout"]) {
    document.body.addEventListener(name, (event) => {
      failed(event, "The dashboard does not answer: is `make dashboard` still running? What you see is old; it asks again.");
      live.textContent = "Not connected.";
    });
  }

  const dashes = [[], [7, 3], [2, 3], [10, 3, 2, 3], [4, 2], [1, 4]];
  const styles = ["solid", "dashed", "dotted", "dashed", "dashed", "dotted"];
  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const short = new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 2 });
  const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 2 });
  const drawn = new Map();

  function moments(data) {
    if (!data.unit) return data.times;
    return data.times.map((text) => Date.parse(data.unit === "hour" ? `${text}:00Z` : `${text}T00:00Z`) / 1000);
  }

  function draw(place) {
    const data = JSON.parse(document.getElementById(place.dataset.chart).textContent);
    const times = moments(data), names = Object.keys(data.lines);
    const skip = data.skip || 0;
    const soft = colour("--soft"), rule = colour("--rule");
    const axis = { stroke: soft, font: "12px Plex, sans-serif", grid: { stroke: rule, width: 1 }, ticks: { show: false } };
    const few = times.length <= 2;
    const isWhole = Object.values(data.lines).flat().every((n) => n % 1 === 0);
    // Without a pointer the legend has the newest values.
    const newest = (u, i) => u.data[i].findLast((n) => n !== null);
    const value = (u, raw, i, at) => {
      const shown = at === null || at === undefined ? newest(u, i) : raw;
      return shown === null || shown === undefined ? "–" : whole.format(shown);
    };
    drawn.get(place)?.destroy();
    drawn.set(place, new uPlot({
      width: place.clientWidth, height: 200, tzDate: (at) => uPlot.tzDate(new Date(at * 1000), "Etc/UTC"),
      cursor: { drag: { x: false, y: false }, points: { size: 7 } },
      legend: { markers: { stroke: (_, i) => colour(`--line-${i + skip}`), dash: (_, i) => styles[i - 1 + skip] } },
      scales: { y: { range: (_, low, high) => [Math.min(0, low) * 1.08, Math.max(0, high) * 1.08 || (low < 0 ? 0 : 1)] } },
      axes: [
        { ...axis, size: 30, grid: { show: false }, values: clockwise(data.unit) },
        { ...axis, size: 52, values: (_, ticks) => ticks.map((n) => isWhole && n % 1 ? "" : short.format(n)) },
      ],
      series: [
        { label: data.unit || "time", value: (u, at, i) => written(at ?? newest(u, i), data.unit) },
        ...names.map((label, i) => ({
          label, value, stroke: colour(`--line-${i + 1 + skip}`), width: 2, dash: dashes[i + skip], spanGaps: false,
          points: { show: few, size: 7 },
        })),
      ],
    }, [times, ...names.map((name) => data.lines[name])], place));
    place.dataset.drawn = String(names.length);
  }

  function written(at, unit) {
    const text = new Date(at * 1000).toISOString();
    return unit === "day" ? text.slice(0, 10) : unit === "hour" ? text.slice(0, 13).replace("T", " ") + " h" : text.slice(0, 19).replace("T", " ");
  }

  function clockwise(unit) {
    return (_, ticks, __, ___, step) => ticks.map((at) => {
      const text = new Date(at * 1000).toISOString();
      if (unit === "day" || step >= 86400) return text.slice(5, 10);
      return step >= 60 ? text.slice(11, 16) : text.slice(11, 19);
    });
  }

  function drawAll(root) {
    for (const place of root.querySelectorAll(".chart[data-chart]")) draw(place);
    for (const [place, chart] of drawn) {
      if (!place.isConnected) { chart.destroy(); drawn.delete(place); }
    }
  }

  htmx.onLoad((root) => {
    for (const each of root.querySelectorAll("details[id]")) if (opened.has(each.id)) each.open = true;
    drawAll(root);
    ages();
  });
  const again = () => { for (const place of [...drawn.keys()]) if (place.isConnected) draw(place); };
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", again);
  let resizing;
  addEventListener("resize", () => { clearTimeout(resizing); resizing = setTimeout(again, 150); });
})();
