// The overview: new flags an hour, by detector (uPlot).

import { dark } from "./app.js";

const palette = ["#3a7ca5", "#c0562f", "#7b5ea7", "#2f9e5b", "#b9770e", "#c0392b", "#5f6c7a", "#1b998b"];

async function draw(box) {
  const answer = await fetch(box.dataset.url);
  if (!answer.ok) return;
  const { hours, series } = await answer.json();
  if (!hours.length) return;
  box.hidden = false;
  document.getElementById("hours-hint").hidden = false;
  let plot = null;
  const make = () => {
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
      series: [{ label: "Hour (UTC)", value: (_u, ts) => (ts == null ? "–" : clock(ts)) }, ...Object.keys(series).map((name, index) => ({
        label: name.replaceAll("_", " "),
        stroke: palette[index % palette.length],
        width: 2,
        dash: name.endsWith("(shadow)") ? [6, 4] : undefined,
        points: { show: hours.length < 60 },
      }))],
    }, [hours, ...Object.values(series)], box);
    box.dataset.drawn = String(hours.length);
  };
  make();
  document.addEventListener("theme", make);
  new ResizeObserver(() => plot.setSize({ width: box.clientWidth, height: 260 })).observe(box);
}

export function clock(ts) {
  return new Date(ts * 1000).toISOString().slice(0, 16).replace("T", " ");
}

export function axisTimes(_plot, stamps) {
  let day = "";
  return stamps.map((ts) => {
    const text = new Date(ts * 1000).toISOString();
    const label = `${text.slice(11, 16)}${text.slice(0, 10) === day ? "" : `\n${text.slice(5, 10)}`}`;
    day = text.slice(0, 10);
    return label;
  });
}

const box = document.getElementById("hours");
if (box) draw(box);
