"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const byId = (id) => document.getElementById(id);
  const OURS = "vaecodec";
  const codecs = Object.fromEntries(data.codecs.map((codec) => [codec.key, codec]));
  const METRICS = { psnr: "PSNR", ms_ssim: "MS-SSIM", ssimulacra2: "SSIMULACRA2" };
  const METRIC_AXES = { psnr: "PSNR of RGB, dB", ms_ssim: "MS-SSIM, dB", ssimulacra2: "SSIMULACRA2" };
  const PUBLISHED_COLOURS = ["#111827", "#7c3aed", "#0e7490", "#be185d", "#4d7c0f", "#9a3412", "#1e40af", "#78716c"];
  const SHOWN_PUBLISHED = ["mbt2018-mean", "VTM", "Cool-chic 5.0"];
  const nameOf = (key) => (codecs[key] ? codecs[key].name : key);
  const colourOf = (key) => (codecs[key] ? codecs[key].colour : "#7c3aed");

  // ---- small tools ----
  const element = (tag, attributes = {}, ...children) => {
    const node = document.createElement(tag);
    for (const [key, value] of Object.entries(attributes)) {
      if (value === undefined || value === null) continue;
      if (key === "onclick") node.addEventListener("click", value);
      else node.setAttribute(key, value);
    }
    node.append(...children.filter((child) => child !== null && child !== undefined));
    return node;
  };
  const SVG = "http://www.w3.org/2000/svg";
  const shape = (tag, attributes = {}, text) => {
    const node = document.createElementNS(SVG, tag);
    for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
    if (text !== undefined) node.textContent = text;
    return node;
  };
  const signed = (value, digits = 1) => (value > 0 ? "+" : value < 0 ? "−" : "±") + Math.abs(value).toFixed(digits);
  const significant = (value, digits = 3) => (value >= 100 ? value.toFixed(0) : value.toPrecision(digits));
  const seconds = (value) => (value < 0.9995 ? significant(value * 1000) + " ms" : significant(value) + " s");
  const table = (node, head, rows, textColumns = []) => {
    const mark = (column) => (textColumns.includes(column) ? "text" : null);
    const titles = head.map((title, column) => element("th", { class: mark(column), scope: "col" }, title));
    node.replaceChildren(element("thead", {}, element("tr", {}, ...titles)), element("tbody", {},
      ...rows.map(({ cells, kind }) => element("tr", { class: kind }, ...cells.map((cell, column) => {
        const content = cell === null || cell === undefined ? "n/a" : cell;
        return content instanceof Node && content.nodeName === "TD" ? content : element("td", { class: mark(column) }, content);
      })))));
  };

  // A row of buttons of which one is pressed.
  const pick = (node, options, chosen, changed) => {
    if (options.length < 2) return;
    node.setAttribute("role", "group");
    node.replaceChildren(...options.map(([value, label]) => element("button", {
      type: "button", "aria-pressed": String(value === chosen),
      onclick: (event) => {
        for (const other of node.children) other.setAttribute("aria-pressed", String(other === event.currentTarget));
        changed(value);
      },
    }, label)));
  };
  const setOptions = data.sets.map((set) => [set.name, `${set.label}`]);
  const remove = (id) => { byId(id)?.remove(); };

  // ---- charts ----
  const logTicks = (low, high) => {
    const ticks = [];
    for (let decade = Math.floor(Math.log10(low)); decade <= Math.ceil(Math.log10(high)); decade++)
      for (const factor of [1, 2, 5]) ticks.push(factor * 10 ** decade);
    return ticks.filter((tick) => tick >= low * 0.999 && tick <= high * 1.001);
  };
  const linearTicks = (low, high, count) => {
    const rough = (high - low) / count, power = 10 ** Math.floor(Math.log10(rough));
    const step = [1, 2, 2.5, 5, 10].map((factor) => factor * power).find((candidate) => candidate >= rough);
    const ticks = [];
    for (let tick = Math.ceil(low / step) * step; tick <= high + step * 1e-6; tick += step) ticks.push(+tick.toPrecision(12));
    return ticks;
  };
  // Words in lines of at most so many characters.
  const lines = (text, most) => text.split(" ").reduce((found, word) => {
    const last = found[found.length - 1];
    if (last !== undefined && last.length + 1 + word.length <= most) found[found.length - 1] = `${last} ${word}`;
    else found.push(word);
    return found;
  }, []);
  const chart = (node, describe) => {
    const keys = element("p", { class: "keys" });
    node.after(keys);
    const draw = () => {
      const { x, y, series = [], bars = [], rule } = describe();
      const width = Math.max(280, node.clientWidth), height = node.clientHeight;
      const narrow = width < 560;
      const below = lines(x.label, (width - 70) / 7);
      const frame = { left: 58, right: narrow ? 10 : 18, top: 12, bottom: 30 + 16 * below.length };
      const inner = { width: width - frame.left - frame.right, height: height - frame.top - frame.bottom };
      const scale = (axis, value) => axis.log ? Math.log(value / axis.low) / Math.log(axis.high / axis.low) : (value - axis.low) / (axis.high - axis.low);
      const px = (value) => frame.left + scale(x, value) * inner.width;
      const py = (value) => frame.top + (1 - scale(y, value)) * inner.height;
      const svg = shape("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": `${y.label} over ${x.label}` });
      let yTicks = y.ticks || (y.log ? logTicks(y.low, y.high) : linearTicks(y.low, y.high, 7));
      if (yTicks.length > 14) yTicks = yTicks.filter((tick) => Math.abs(Math.log10(tick) - Math.round(Math.log10(tick))) < 1e-9);
      const xTicks = (x.ticks || (x.log ? logTicks(x.low, x.high) : linearTicks(x.low, x.high, narrow ? 4 : 8)));
      let lastX = -Infinity;
      for (const tick of yTicks) {
        svg.append(shape("line", { class: "grid", x1: frame.left, x2: width - frame.right, y1: py(tick), y2: py(tick) }));
        svg.append(shape("text", { x: frame.left - 8, y: py(tick) + 4, "text-anchor": "end" }, y.format(tick)));
      }
      for (const tick of xTicks) {
        const at = px(tick);
        svg.append(shape("line", { class: "grid", x1: at, x2: at, y1: frame.top, y2: height - frame.bottom }));
        if (at - lastX > 40) { svg.append(shape("text", { x: at, y: height - frame.bottom + 18, "text-anchor": "middle" }, x.format(tick))); lastX = at; }
      }
      svg.append(shape("line", { class: "axis", x1: frame.left, x2: width - frame.right, y1: height - frame.bottom, y2: height - frame.bottom }));
      below.forEach((line, index) => svg.append(shape("text", { class: "label", x: frame.left + inner.width / 2, y: height - 8 - 16 * (below.length - 1 - index), "text-anchor": "middle" }, line)));
      const side = shape("text", { class: "label", "text-anchor": "middle", transform: `translate(13 ${frame.top + inner.height / 2}) rotate(-90)` }, y.label);
      svg.append(side);
      const clip = `clip-${node.id}`;
      const definition = shape("clipPath", { id: clip });
      definition.append(shape("rect", { x: frame.left - 6, y: frame.top - 6, width: inner.width + 12, height: inner.height + 12 }));
      svg.append(definition);
      const area = shape("g", { "clip-path": `url(#${clip})` });
      svg.append(area);
      if (rule !== undefined) area.append(shape("line", { x1: frame.left, x2: width - frame.right, y1: py(rule), y2: py(rule), class: "axis" }));
      const hot = [];
      for (const bar of bars) {
        const left = px(bar.x - 0.4), right = px(bar.x + 0.4), [top, bottom] = [py(bar.y), py(0)].sort((a, b) => a - b);
        area.append(shape("rect", { class: "bar", x: left, y: top, width: right - left, height: Math.max(1, bottom - top), fill: bar.colour, rx: 1.5 }));
        hot.push({ x: (left + right) / 2, y: py(bar.y), tip: bar.tip });
      }
      const labels = [];
      for (const one of series) {
        const points = one.points.map((point) => ({ x: px(point.x), y: py(point.y), tip: point.tip }));
        if (one.line) area.append(shape("path", {
          class: "curve", d: "M" + points.map((point) => `${point.x.toFixed(1)},${point.y.toFixed(1)}`).join("L"), fill: "none",
          stroke: one.colour, "stroke-width": one.strong ? 3.2 : 1.8, "stroke-linejoin": "round", "stroke-dasharray": one.dashed ? "6 5" : "none", opacity: one.dashed ? 0.85 : 1,
        }));
        for (const point of points) {
          if (!one.dashed || !one.line) area.append(shape("circle", {
            class: "point", cx: point.x, cy: point.y, r: one.line ? (one.strong ? 3.6 : 2.4) : (one.strong ? 8 : 6),
            fill: one.hollow ? "#fff" : one.colour, stroke: one.line ? "none" : one.colour, "stroke-width": 2,
          }));
          hot.push(point);
        }
        if (one.label) labels.push({ x: points[0].x, y: points[0].y, one });
      }
      // Labels keep out of each other's way: each goes to the right of its point or, where that is taken, elsewhere near it. One that
      // fits nowhere is a number, explained below the chart.
      const taken = labels.map(({ x, y }) => ({ left: x - 8, right: x + 8, top: y - 8, bottom: y + 8 }));
      const numbered = [];
      const place = (text, at, level) => {
        const wide = text.length * 6.9;
        const spots = [[11, 4, "start"], [-11, 4, "end"], [0, -13, "middle"], [0, 22, "middle"], [11, -10, "start"], [11, 19, "start"], [-11, -10, "end"], [-11, 19, "end"], [0, -28, "middle"], [0, 38, "middle"]];
        for (const [dx, dy, anchor] of spots) {
          const left = at + dx - (anchor === "end" ? wide : anchor === "middle" ? wide / 2 : 0);
          const box = { left, right: left + wide, top: level + dy - 12, bottom: level + dy + 3 };
          const free = box.left > frame.left && box.right < width - 2 && box.top > 0 && box.bottom < height - frame.bottom + 4 &&
            !taken.some((other) => box.left < other.right && box.right > other.left && box.top < other.bottom && box.bottom > other.top && !(other.left === at - 8 && other.top === level - 8));
          if (free) return { box, x: at + dx, y: level + dy, anchor };
        }
        return null;
      };
      for (const { x: at, y: level, one } of labels) {
        let text = one.label, spot = place(text, at, level);
        if (!spot) {
          numbered.push(text);
          text = String(numbered.length);
          spot = place(text, at, level) ?? { box: { left: 0, right: 0, top: 0, bottom: 0 }, x: at, y: level + 4, anchor: "middle" };
        }
        taken.push(spot.box);
        svg.append(shape("text", { class: "label halo", x: spot.x, y: spot.y, "text-anchor": spot.anchor, "font-weight": one.strong ? 650 : 400 }, text));
      }
      keys.textContent = numbered.map((text, index) => `${index + 1}\u00a0${text}`).join(", ");
      const tip = element("div", { class: "tip" });
      node.replaceChildren(svg, tip);
      const show = (event) => {
        const box = node.getBoundingClientRect(), cx = event.clientX - box.left, cy = event.clientY - box.top;
        let best = null, distance = 34 ** 2;
        for (const point of hot) {
          const d = (point.x - cx) ** 2 + (bars.length ? 0 : (point.y - cy) ** 2);
          if (d < distance) { best = point; distance = d; }
        }
        tip.style.opacity = best ? 1 : 0;
        if (!best) return;
        tip.textContent = best.tip;
        const half = tip.offsetWidth / 2;
        tip.style.left = Math.min(Math.max(best.x, half), width - half) + "px";
        tip.style.top = Math.max(best.y, tip.offsetHeight + 12) + "px";
      };
      node.onpointermove = show;
      node.onpointerleave = () => { tip.style.opacity = 0; };
    };
    let last = 0;
    new ResizeObserver(() => { if (node.clientWidth !== last) { last = node.clientWidth; draw(); } }).observe(node);
    draw();
    return draw;
  };
  const legend = (node, entries, hidden, redraw) => {
    const button = (entry) => {
      const sample = shape("svg", { viewBox: "0 0 24 10", "aria-hidden": "true" });
      sample.append(shape("line", { x1: 1, x2: 23, y1: 5, y2: 5, stroke: entry.colour, "stroke-width": entry.strong ? 4 : 2.4, "stroke-dasharray": entry.dashed ? "5 4" : "none" }));
      return element("button", {
        type: "button", "aria-pressed": String(!hidden.has(entry.id)),
        onclick: (event) => {
          hidden.has(entry.id) ? hidden.delete(entry.id) : hidden.add(entry.id);
          event.currentTarget.setAttribute("aria-pressed", String(!hidden.has(entry.id)));
          redraw();
        },
      }, sample, entry.name, entry.dashed ? element("small", {}, "published") : null);
    };
    const more = entries.filter((entry) => entry.extra);
    node.replaceChildren(...entries.filter((entry) => !entry.extra).map(button));
    if (more.length) node.append(element("details", {}, element("summary", {}, `${more.length} more published curves`), ...more.map(button)));
  };

  // ---- head ----
  byId("version").textContent = data.version;
  byId("lead").textContent = data.lead;
  byId("cards").append(...data.cards.map((card) => element("div", { class: "card" }, element("b", {}, card.figure), element("span", {}, card.text))));

  // ---- viewer ----
  if (!data.crops.length) remove("viewer");
  else {
    const stage = document.querySelector("#viewer-stage .stage"), caption = document.querySelector("#viewer-stage figcaption");
    const [under, over] = stage.querySelectorAll("img"), range = stage.querySelector("input");
    const state = { crop: data.crops[0], left: Object.keys(data.crops[0].others).find((key) => key !== "original") };
    const show = () => {
      const other = state.crop.others[state.left], ours = state.crop.ours;
      under.src = ours.image;
      over.src = other.image;
      over.alt = other.name;
      stage.querySelector(".left").textContent = other.name;
      stage.querySelector(".right").textContent = nameOf(OURS);
      const facts = (one) => `${one.name}: ${one.bytes.toLocaleString("en")} bytes (${one.bpp.toFixed(3)} bpp)` + (one.psnr === null ? "" : `, ${one.psnr.toFixed(2)} dB`);
      caption.textContent = `${state.crop.picture}, ${state.crop.side}×${state.crop.side} samples of it. ${facts(other)}. ${facts(ours)}. ${state.crop.why}`;
    };
    pick(byId("viewer-crops"), data.crops.map((crop, index) => [index, crop.label]), 0, (index) => { state.crop = data.crops[index]; show(); });
    pick(byId("viewer-left"), Object.entries(data.crops[0].others).map(([key, one]) => [key, one.name]), state.left, (key) => { state.left = key; show(); });
    range.addEventListener("input", () => stage.style.setProperty("--cut", range.value + "%"));
    show();
  }

  // ---- curves ----
  {
    const state = { set: data.sets[0].name, metric: "psnr" };
    const hidden = new Set(data.published.filter((curve) => !SHOWN_PUBLISHED.includes(curve.name)).map((curve) => "p:" + curve.name));
    hidden.add("avif-psnr");
    const entries = () => {
      const measured = data.codecs.filter((codec) => data.curves[state.set][state.metric][codec.key]?.length)
        .map((codec) => ({ id: codec.key, name: codec.name, colour: codec.colour, strong: codec.key === OURS, points: data.curves[state.set][state.metric][codec.key] }));
      const published = state.set !== data.published_set ? [] : data.published.map((curve, index) => ({
        id: "p:" + curve.name, name: curve.name, colour: PUBLISHED_COLOURS[index % PUBLISHED_COLOURS.length], dashed: true, extra: !SHOWN_PUBLISHED.includes(curve.name), points: curve[state.metric] || [],
      })).filter((entry) => entry.points.length);
      return [...published, ...measured.reverse()];
    };
    const describe = () => {
      const range = data.axes[state.metric];
      return {
        x: { log: true, low: 0.08, high: 4, label: "bits per pixel, logarithmic", format: String },
        y: { low: range[0], high: range[1], label: METRIC_AXES[state.metric], format: String },
        series: entries().filter((entry) => !hidden.has(entry.id)).map((entry) => ({
          ...entry, line: true,
          points: entry.points.map(([bpp, quality, setting]) => ({ x: bpp, y: quality, tip: `${entry.name}${entry.dashed ? ", published" : setting === null ? "" : ` at ${setting < 0 ? -setting + " : 1" : setting}`}\n${bpp.toFixed(3)} bpp, ${quality.toFixed(2)}${state.metric === "ssimulacra2" ? "" : " dB"}` })),
        })),
      };
    };
    const draw = chart(byId("curves-chart"), describe);
    const refresh = () => {
      draw();
      const listed = entries();
      legend(byId("curves-legend"), [...listed.filter((e) => !e.dashed).reverse(), ...listed.filter((e) => e.dashed)], hidden, draw);
    };
    const metrics = Object.keys(METRICS).filter((metric) => data.sets.some((set) => Object.values(data.curves[set.name][metric]).some((points) => points.length)));
    pick(byId("curves-set"), setOptions, state.set, (set) => { state.set = set; refresh(); });
    pick(byId("curves-metric"), metrics.map((metric) => [metric, METRICS[metric]]), "psnr", (metric) => { state.metric = metric; refresh(); });
    refresh();
  }

  // ---- BD-rates ----
  const bdCell = (one) => {
    if (!one || one.percent === null) return null;
    const cell = element("td", {}, signed(one.percent));
    if (!one.covers) cell.append(element("span", { class: "mark", title: `only ${one.low.toFixed(1)} to ${one.high.toFixed(1)} dB` }, "*"));
    return cell;
  };
  {
    const windows = ["main", "wide", "low", "high"];
    const show = (set) => {
      const measured = Object.entries(data.bd[set]).map(([key, row]) => ({ cells: [nameOf(key), ...[...windows, "ms_ssim", "ssimulacra2"].map((name) => bdCell(row[name]))], kind: key === OURS ? "ours" : null, rank: row.main?.percent ?? 0 }));
      const published = set !== data.published_set ? [] : Object.entries(data.published_bd).map(([name, row]) => ({ cells: [name, ...windows.map((window) => bdCell(row[window])), null, null], kind: "published", rank: row.main?.percent ?? 0 }));
      table(byId("rates-table"), ["codec, against JPEG 4:2:0", "main", "wide", "low", "high", "MS-SSIM", "SSIMULACRA2"], [...measured, ...published].sort((a, b) => b.rank - a.rank));
    };
    pick(byId("rates-set"), setOptions, data.sets[0].name, show);
    show(data.sets[0].name);

    const state = { set: data.sets[0].name, window: "main" };
    const matrix = () => {
      const cells = data.matrix[state.set][state.window], keys = Object.keys(cells);
      const rows = keys.map((tested) => ({ kind: tested === OURS ? "ours" : null, cells: [nameOf(tested), ...keys.map((reference) => {
        if (tested === reference) return element("td", {}, "·");
        const percent = cells[tested][reference];
        if (percent === null || percent === undefined) return null;
        const strength = Math.min(1, Math.abs(percent) / 100) * 0.55;
        return element("td", { style: `background: rgba(${percent < 0 ? "11,122,75" : "180,35,24"},${strength.toFixed(2)})` }, signed(percent, 0));
      })] }));
      table(byId("matrix-table"), ["", ...keys.map(nameOf)], rows);
    };
    pick(byId("matrix-set"), setOptions, state.set, (set) => { state.set = set; matrix(); });
    pick(byId("matrix-window"), windows.map((window) => [window, window]), "main", (window) => { state.window = window; matrix(); });
    matrix();
  }

  // ---- speed ----
  if (!data.times.length) remove("speed");
  else {
    const sets = [...new Set(data.times.map((time) => time.set))];
    const threads = [...new Set(data.times.map((time) => time.threads))].sort((a, b) => a - b);
    const state = { operation: "decode", threads: threads[0] };
    const set = sets.includes(data.published_set) ? data.published_set : sets[0];
    const chosen = () => data.times.filter((time) => time.set === set && time.operation === state.operation && time.threads === state.threads && time.bd !== null);
    const describe = () => {
      const points = chosen();
      const values = points.map((time) => time.median), rates = points.map((time) => time.bd);
      return {
        x: { log: true, low: Math.min(...values) / 1.6, high: Math.max(...values) * 2.2, label: `seconds to ${state.operation} ${points[0]?.megapixels.toFixed(2) ?? ""} megapixels at about ${data.timed_psnr} dB, logarithmic`, format: (v) => (v < 1 ? +(v * 1000).toPrecision(3) + " ms" : +v.toPrecision(3) + " s") },
        y: { low: Math.min(...rates) - 8, high: Math.max(...rates, 0) + 6, label: "BD-rate against JPEG, %", format: (v) => signed(v, 0).replace("±", "") },
        series: points.map((time) => ({
          label: time.label, colour: time.note ? "#7c3aed" : colourOf(time.codec), strong: time.codec === OURS, hollow: Boolean(time.note),
          points: [{ x: time.median, y: time.bd, tip: `${time.label}\n${seconds(time.median)} (${seconds(time.fastest)} to ${seconds(time.slowest)}), ${time.threads} thread${time.threads > 1 ? "s" : ""}\n${signed(time.bd)} % against JPEG${time.note ? `, published;\ntime with ${time.note}` : ""}` }],
        })),
      };
    };
    const draw = chart(byId("speed-chart"), describe);
    pick(byId("speed-operation"), [["decode", "decode"], ["encode", "encode"]], "decode", (value) => { state.operation = value; draw(); });
    pick(byId("speed-threads"), threads.map((count) => [count, count === 1 ? "one thread" : `${count} threads`]), state.threads, (value) => { state.threads = value; draw(); });
    byId("times-note").textContent = data.times_note;
    const show = (name) => {
      const rows = [];
      for (const decode of data.times.filter((time) => time.set === name && time.operation === "decode")) {
        const encode = data.times.find((time) => time.operation === "encode" && time.set === name && time.codec === decode.codec && time.setting === decode.setting && time.threads === decode.threads);
        const ours = data.times.find((time) => time.operation === "decode" && time.set === name && time.codec === OURS && time.threads === decode.threads);
        const range = (time) => time ? element("td", {}, seconds(time.median), element("small", { class: "range" }, `${seconds(time.fastest)}–${seconds(time.slowest)}`)) : null;
        rows.push({ kind: decode.codec === OURS ? "ours" : null, cells: [element("td", {}, decode.label, decode.note ? element("small", { class: "range" }, decode.note) : null), String(decode.threads), decode.lossless ? "lossless" : decode.psnr === null ? null : decode.psnr.toFixed(1) + " dB", decode.random ? null : (decode.bytes / 1000).toFixed(1) + " kB", range(encode), range(decode), ours ? significant(decode.median / ours.median, 2) : null,
          element("td", {}, (100 * decode.rounds_differ).toFixed(0) + " %", element("small", { class: "range" }, `of ${(100 * decode.spread).toFixed(0)} % spread`)),
          element("td", {}, (decode.peak_mb - decode.base_mb).toFixed(0) + " MB", element("small", { class: "range" }, `of ${decode.peak_mb.toFixed(0)} MB`))] });
      }
      table(byId("times-table"), ["codec", "threads", "quality", "file", "encode", "decode", "÷ ours", "rounds differ", "memory to decode"], rows);
    };
    pick(byId("times-set"), sets.map((name) => [name, name]), sets[0], show);
    show(sets[0]);
    table(byId("cost-table"), ["codec", "analysis", "synthesis", "prior", "decoding"], data.costs.map((cost) => ({ kind: cost.name === OURS ? "ours" : null, cells: [cost.name, cost.analysis.toFixed(1), cost.synthesis.toFixed(1), cost.prior.toFixed(1), (cost.synthesis + cost.prior).toFixed(1)] })));
  }

  // ---- sizes ----
  if (!data.sizes.length) remove("sizes");
  else {
    const kinds = { decode: "time to decode", encode: "time to encode", decode_mb: "memory to decode", encode_mb: "memory to encode" };
    const state = { what: "decode" };
    const hidden = new Set();
    const entries = () => data.sizes.filter((one) => one.what === state.what).map((one) => ({ id: one.codec, name: nameOf(one.codec), colour: colourOf(one.codec), strong: one.codec === OURS, points: one.points }));
    const describe = () => {
      const shown = entries().filter((entry) => !hidden.has(entry.id));
      const values = shown.flatMap((entry) => entry.points.map((point) => point[1]));
      const memory = state.what.endsWith("_mb");
      return {
        x: { log: true, low: 0.08, high: 64, label: "megapixels, logarithmic", format: String },
        y: { log: true, low: Math.min(...values, Infinity) / 1.5 || 0.1, high: Math.max(...values, 0.2) * 1.5, label: memory ? "MB, logarithmic" : "seconds, logarithmic", format: (v) => String(+v.toPrecision(2)) },
        series: shown.map((entry) => ({ ...entry, line: true, points: entry.points.map(([x, y]) => ({ x, y, tip: `${entry.name}\n${+x.toPrecision(3)} megapixels: ${memory ? significant(y) + " MB" : seconds(y)}` })) })),
      };
    };
    const draw = chart(byId("sizes-chart"), describe);
    pick(byId("sizes-what"), Object.entries(kinds), "decode", (what) => { state.what = what; draw(); });
    legend(byId("sizes-legend"), entries(), hidden, draw);
    const keys = [...new Set(data.sizes.map((one) => one.codec))];
    table(byId("sizes-table"), ["fitted exponent", ...Object.values(kinds)], keys.map((key) => ({ kind: key === OURS ? "ours" : null, cells: [nameOf(key), ...Object.keys(kinds).map((what) => data.sizes.find((one) => one.codec === key && one.what === what)?.exponent?.toFixed(2) ?? null)] })));
  }

  // ---- every picture ----
  const references = [...new Set(Object.values(data.gains).flatMap((gains) => Object.keys(gains)))];
  if (!references.length) remove("gains");
  else {
    const state = { set: data.sets.find((set) => Object.keys(data.gains[set.name]).length).name, reference: references[0] };
    const listed = () => [...(data.gains[state.set][state.reference] || [])].sort((a, b) => a.percent - b.percent);
    const describe = () => {
      const bars = listed().map((one, index) => ({ x: index + 1, y: one.percent, colour: one.percent < 0 ? "#d9480f" : "#7b8794", tip: `${one.picture}\n${signed(one.percent)} % against ${nameOf(state.reference)}${one.covers ? "" : `\n(${one.low.toFixed(1)} to ${one.high.toFixed(1)} dB)`}` }));
      const values = bars.map((bar) => bar.y);
      return {
        x: { low: 0.3, high: bars.length + 0.7, label: "pictures, sorted", format: String, ticks: [] },
        y: { low: Math.min(0, ...values) - 4, high: Math.max(0, ...values) + 4, label: `BD-rate against ${nameOf(state.reference)}, %`, format: (v) => signed(v, 0).replace("±", "") },
        bars, rule: 0,
      };
    };
    const draw = chart(byId("gains-chart"), describe);
    const refresh = () => {
      draw();
      const gains = listed(), values = gains.map((one) => one.percent);
      const mean = values.reduce((a, b) => a + b, 0) / values.length;
      const deviation = Math.sqrt(values.reduce((a, b) => a + (b - mean) ** 2, 0) / Math.max(1, values.length - 1));
      byId("gains-summary").textContent = values.length ? `${values.length} pictures: mean ${signed(mean)} %, standard deviation ${deviation.toFixed(1)}, smaller files on ${values.filter((value) => value < 0).length} of them.` : "no picture's curves meet in the window";
      byId("gains-worst").replaceChildren(...gains.slice(-5).reverse().map((one) => {
        const thumbnail = data.thumbnails[`${state.set}/${one.picture}`];
        return element("figure", {}, thumbnail ? element("img", { src: thumbnail, alt: one.picture, loading: "lazy" }) : null, element("figcaption", {}, element("b", {}, `${signed(one.percent)} % `), one.picture));
      }));
    };
    pick(byId("gains-set"), setOptions.filter(([name]) => Object.keys(data.gains[name]).length), state.set, (set) => { state.set = set; refresh(); });
    pick(byId("gains-reference"), references.map((key) => [key, "against " + nameOf(key)]), state.reference, (key) => { state.reference = key; refresh(); });
    refresh();
  }

  // ---- lossless, method ----
  if (!data.lossless.length) remove("lossless");
  else table(byId("lossless-table"), ["bits per pixel", ...data.sets.map((set) => set.label)], data.lossless.map((one) => ({ cells: [nameOf(one.codec), ...one.bpp.map((bpp) => bpp === null ? null : bpp.toFixed(2))] })));
  table(byId("codec-table"), ["codec", "library and settings", "licence of the library"], data.codecs.map((codec) => ({ kind: codec.key === OURS ? "ours" : null, cells: [codec.name, codec.what, codec.licence] })), [1, 2]);
  byId("environments").append(...data.environments.map((facts) => element("dl", {}, ...Object.entries(facts).flatMap(([key, value]) => [element("dt", {}, key), element("dd", {}, value)]))));
  byId("sources").append(...data.published.map((curve) => element("li", {}, `${curve.name}: ${curve.source}`)));
  byId("contents").append(element("div", {}, ...[...document.querySelectorAll("main section")].map((section) => element("a", { href: "#" + section.id }, section.dataset.title))));
  document.body.dataset.ready = "yes";
})();
