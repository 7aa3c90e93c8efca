// The pictures of a case: the ego network (Cytoscape.js) and the timeline (uPlot); and reasons that fit the action.

import { dark } from "./app.js";
import { axisTimes, clock } from "./overview.js";

const ages = { under_13: "#b2182b", "13_15": "#e8743b", "16_17": "#f2b84b", "18_20": "#92c5de", "21_plus": "#4393c3", unknown: "#a7b1bc" };
const ageNames = { under_13: "under 13", "13_15": "13–15", "16_17": "16–17", "18_20": "18–20", "21_plus": "21 and over", unknown: "age unknown" };
const good = ["accepted", "replied"];
const refused = ["declined", "blocked", "reported"];

const choose = document.getElementById("choose");
if (choose) {
  const reason = choose.elements.reason;
  const fit = () => {
    const action = choose.elements.action.value;
    for (const group of reason.querySelectorAll("optgroup")) {
      group.hidden = group.disabled = group.dataset.action !== action;
    }
    if (reason.selectedOptions[0]?.parentElement.disabled) reason.value = "";
  };
  choose.addEventListener("change", fit);
  choose.addEventListener("chosen", () => {
    fit();
    (getComputedStyle(reason.parentElement).display === "none" ? choose.elements.note : reason).focus();
  });
  fit();
}

function edgeColour(outcome) {
  if (good.includes(outcome)) return "#2f9e5b";
  if (refused.includes(outcome)) return "#c0392b";
  return outcome === "shared" ? "#7b5ea7" : "#9aa6b2";
}

function describe(node) {
  const data = node.data();
  if (data.kind === "account") return `${data.id}: the account of this case`;
  if (data.kind === "similar" || data.kind === "sharer") {
    const known = data.case ? `case ${data.case}` : "no case";
    return `${data.id}: ${known}, reaches for ${data.shared ? `${data.shared} of ` : ""}the same accounts`;
  }
  if (data.kind === "fold") return data.label;
  const parts = [ageNames[data.age], data.outcome === "open" ? "no answer yet" : data.outcome];
  if (data.mutual >= 0) parts.push(`${data.mutual} mutual friends`);
  if (data.messages) parts.push(`${data.messages} messages`);
  if (data.signs) parts.push(`signs: ${data.signs.replaceAll("_", " ").split(" ").join(", ")}`);
  if (data.shared) parts.push(`${data.shared} other accounts under review reach for it`);
  return `${data.id}: ${parts.join(", ")}`;
}

async function drawGraph(box) {
  const answer = await fetch(box.dataset.url);
  if (!answer.ok) return;
  const { nodes, edges } = await answer.json();
  if (nodes.length < 2) return;
  box.hidden = false;
  document.getElementById("graph-tools").hidden = false;
  const tip = document.getElementById("graph-tip");
  tip.hidden = false;
  tip.textContent = "Point at an account to read about it. The oldest contact is at the top, newer ones follow clockwise.";
  const ink = () => (dark() ? "#e2e8f0" : "#1b2530");
  let scale = 1; // what makes words and marks as large on the screen as they should be, however far the picture is fitted
  const style = () => [
    { selector: "node", style: { label: "", width: 13 * scale, height: 13 * scale, "background-color": (n) => ages[n.data("age")] ?? "#a7b1bc", "border-width": 1.5, "border-color": dark() ? "#0f1318" : "#5f6c7a", color: ink(), "font-size": 11 * scale, "font-family": "monospace" } },
    { selector: "node[kind = 'account']", style: { label: "data(label)", width: 30 * scale, height: 30 * scale, shape: "star", "background-color": "#e0a03d", "border-color": "#8a5a0b", "font-size": 12 * scale, "text-valign": "bottom", "text-margin-y": 3 * scale, "text-background-color": dark() ? "#151a21" : "#fafbfc", "text-background-opacity": 0.85 } },
    { selector: "node[kind = 'similar'], node[kind = 'sharer']", style: { label: (n) => (n.data("case") ? `case ${n.data("case")}` : ""), shape: "diamond", width: 17 * scale, height: 17 * scale, "background-color": "#7b5ea7", "text-valign": "bottom", "text-margin-y": 2 * scale } },
    { selector: "node[kind = 'sharer']", style: { "background-color": dark() ? "#151a21" : "#fafbfc", "border-color": "#7b5ea7", "border-width": 3 } },
    { selector: "node[kind = 'fold']", style: { label: narrow ? "" : "data(label)", shape: "round-rectangle", width: (n) => scale * (12 + Math.min(24, 4 * Math.sqrt(n.data("count")))), height: 14 * scale, "text-valign": "center", "text-halign": "right", "text-margin-x": 4 * scale, "border-style": "dashed" } },
    { selector: "node[signs]", style: { "border-width": (n) => (n.data("signs") ? 4 : 1.5), "border-color": (n) => (n.data("signs") ? "#c0392b" : "#5f6c7a") } },
    { selector: "edge", style: { width: (e) => (refused.includes(e.data("outcome")) || good.includes(e.data("outcome")) ? 2.2 : 1.2), "line-color": (e) => edgeColour(e.data("outcome")), "line-style": (e) => (refused.includes(e.data("outcome")) ? "dashed" : e.data("outcome") === "shared" ? "dotted" : "solid"), opacity: (e) => 0.35 + 0.65 * e.data("share"), "curve-style": "straight" } },
    { selector: ".faded", style: { opacity: 0.12 } },
  ];
  const targets = nodes.filter((node) => node.kind === "target");
  const folds = nodes.filter((node) => node.kind === "fold");
  const when = new Map(edges.filter((edge) => edge.at).map((edge) => [edge.target, edge.at]));
  targets.sort((a, b) => (when.get(a.id) ?? 0) - (when.get(b.id) ?? 0));
  // an ellipse in the shape of the frame, so that the picture fills it
  const places = new Map([[nodes[0].id, { x: 0, y: 0 }]]);
  const ring = 150 + 3 * targets.length;
  const narrow = box.clientWidth < box.clientHeight;
  const wide = Math.min(Math.max((0.8 * box.clientWidth) / box.clientHeight, 1), 1.9);
  targets.forEach((node, index) => {
    const angle = (2 * Math.PI * index) / targets.length - Math.PI / 2;
    const radius = ring * (targets.length > 24 ? 0.78 + 0.22 * (index % 2) : 1);
    places.set(node.id, { x: wide * radius * Math.cos(angle), y: radius * Math.sin(angle) });
  });
  // what is folded stands in a column beside, where its words have room; on a narrow screen below, and says them when
  // it is touched
  folds.forEach((node, index) => {
    if (narrow) {
      const across = Math.min(folds.length, 6);
      places.set(node.id, { x: (index % across - (across - 1) / 2) * 0.36 * ring, y: (1.75 + 0.22 * Math.floor(index / across)) * ring });
      return;
    }
    places.set(node.id, { x: (wide + 0.75) * ring, y: (index - (folds.length - 1) / 2) * Math.min(0.3 * ring, (2 * ring) / folds.length) });
  });
  // others stand outside, near those they share, and never on one another; on the left, where that is not known
  const others = nodes.filter((node) => ["similar", "sharer"].includes(node.kind)).map((node) => {
    const reached = edges.filter((edge) => edge.source === node.id).map((edge) => places.get(edge.target)).filter(Boolean);
    if (edges.some((edge) => edge.source === node.id && edge.target === nodes[0].id)) return { id: node.id, angle: 0.75 * Math.PI };
    const x = reached.reduce((sum, p) => sum + p.x / wide, 0);
    const y = reached.reduce((sum, p) => sum + p.y, 0);
    return { id: node.id, angle: Math.atan2(y, x) };
  });
  others.sort((a, b) => a.angle - b.angle);
  const apart = Math.min(0.3, (2 * Math.PI) / others.length);
  others.forEach((other, index) => {
    if (index) other.angle = Math.max(other.angle, others[index - 1].angle + apart);
  });
  const [first, last] = [others[0]?.angle, others.at(-1)?.angle];
  const round = last - first > 2 * Math.PI - apart; // the last would stand on the first
  others.forEach((other, index) => {
    if (round) other.angle = first + (2 * Math.PI * index) / others.length;
    places.set(other.id, { x: 1.28 * wide * ring * Math.cos(other.angle), y: 1.28 * ring * Math.sin(other.angle) });
  });
  const cy = cytoscape({
    container: box,
    elements: [...nodes.map((data) => ({ data, position: places.get(data.id) })), ...edges.map((data) => ({ data }))],
    style: style(),
    layout: { name: "preset", fit: true, padding: 30 },
    userZoomingEnabled: false,
    autoungrabify: false,
  });
  const fit = () => {
    scale = 1 / cy.zoom();
    cy.style(style());
    cy.fit(undefined, 24);
  };
  fit();
  cy.on("mouseover tap", "node", (event) => {
    tip.textContent = describe(event.target);
    cy.elements().addClass("faded");
    event.target.closedNeighborhood().removeClass("faded");
  });
  cy.on("mouseout", "node", () => cy.elements().removeClass("faded"));
  cy.on("dbltap", "node[kind = 'similar'], node[kind = 'sharer'][case]", (event) => { location.href = `/cases/${event.target.data("case")}`; });
  document.addEventListener("theme", () => cy.style(style()));
  document.getElementById("graph-fit").addEventListener("click", fit);
  document.getElementById("graph-png").addEventListener("click", async () => {
    // what leaves the console is on the record first
    const path = `/cases/${document.querySelector(".case").dataset.case}/graph.png`;
    const noted = await fetch(path, { method: "POST", headers: { "x-csrf-token": document.body.dataset.csrf } });
    if (noted.status !== 204) {
      tip.textContent = "The picture was not saved, as this could not be recorded. Reload the page and try again.";
      return;
    }
    const link = document.createElement("a");
    link.href = cy.png({ full: true, scale: 2, bg: dark() ? "#12161c" : "#ffffff" });
    link.download = `case-${document.querySelector(".case").dataset.case}.png`;
    link.click();
  });
  box.dataset.drawn = String(nodes.length);
}

const colours = { contacts: "#3a7ca5", requests: "#5b8def", accepted: "#2f9e5b", declined: "#b9770e", messages: "#7b5ea7", signs: "#c0392b", blocked: "#7f1d1d" };

async function drawTimeline(box) {
  const answer = await fetch(box.dataset.url);
  if (!answer.ok) return;
  const { hours, series, names, flags } = await answer.json();
  if (!hours.length) return;
  box.hidden = false;
  let plot = null;
  const draw = () => {
    plot?.destroy();
    const ink = dark() ? "#9fadbd" : "#526071";
    const grid = { stroke: dark() ? "#2a333f" : "#e3e8ee", width: 1 };
    plot = new uPlot({
      width: box.clientWidth,
      height: 260,
      tzDate: (ts) => uPlot.tzDate(new Date(ts * 1000), "UTC"),
      cursor: { drag: { x: true, y: false } },
      axes: [{ stroke: ink, grid, values: axisTimes }, { stroke: ink, grid, size: 40 }],
      scales: { y: { range: (_u, _low, high) => [0, Math.max(high, 1)] } },
      series: [{ label: "Hour (UTC)", value: (_u, ts) => (ts == null ? "–" : clock(ts)) }, ...Object.keys(series).map((name) => ({
        label: names[name], stroke: colours[name], fill: `${colours[name]}55`, width: 1.5, paths: uPlot.paths.bars({ size: [0.8, 24] }), points: { show: false },
      }))],
      hooks: { draw: [(u) => {
        const { ctx } = u;
        ctx.save();
        ctx.strokeStyle = "#e0a03d";
        ctx.lineWidth = 2;
        ctx.setLineDash([5, 4]);
        for (const flag of flags) {
          const x = u.valToPos(flag.at, "x", true);
          ctx.beginPath();
          ctx.moveTo(x, u.bbox.top);
          ctx.lineTo(x, u.bbox.top + u.bbox.height);
          ctx.stroke();
        }
        ctx.restore();
      }] },
    }, [hours, ...Object.values(series)], box);
    box.dataset.drawn = String(hours.length);
  };
  draw();
  document.addEventListener("theme", draw);
  new ResizeObserver(() => plot.setSize({ width: box.clientWidth, height: 260 })).observe(box);
}

const graph = document.getElementById("graph");
if (graph) drawGraph(graph);
const line = document.getElementById("timeline");
if (line) drawTimeline(line);
