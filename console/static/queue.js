// The queue: moves with j and k, opens with Enter, and takes in new cases without a reload.

const list = () => document.getElementById("rows");
const live = document.getElementById("live");
let at = null;

function rows() {
  return [...list().querySelectorAll("tr[data-case]")];
}

function mark(row) {
  for (const one of rows()) one.classList.toggle("at", one === row);
  at = row?.dataset.case ?? null;
  row?.querySelector("a").focus({ preventScroll: true });
  row?.scrollIntoView({ block: "nearest" });
}

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.matches("input:not([type=checkbox]), select, textarea")) return;
  const all = rows();
  const here = all.findIndex((row) => row.dataset.case === at);
  if (event.key === "j" || event.key === "k") {
    event.preventDefault();
    mark(all[Math.max(0, Math.min(all.length - 1, here + (event.key === "j" ? 1 : -1)))]);
  } else if (event.key === "x" && here >= 0) {
    all[here].querySelector("input[type=checkbox]")?.click();
  }
});

for (const field of document.querySelectorAll("#filters select, #filters input")) {
  field.addEventListener("change", () => field.form.requestSubmit());
}

// bulk decisions: how many are selected, and reasons that fit the action
const bulk = document.getElementById("bulk");
if (bulk) {
  const picked = document.getElementById("picked");
  document.addEventListener("change", (event) => {
    if (event.target.name === "case") {
      const count = document.querySelectorAll("input[name=case]:checked").length;
      picked.textContent = count ? `${count} selected` : "";
      if (count) bulk.querySelector("details").open = true;
    }
  });
  bulk.elements.action.addEventListener("change", () => {
    for (const group of bulk.elements.reason.querySelectorAll("optgroup")) {
      group.hidden = group.disabled = group.dataset.action !== bulk.elements.action.value;
    }
    bulk.elements.reason.value = "";
  });
}

// new cases: the version is asked for every few seconds, and only when it moved are the rows fetched
let version = live.dataset.version;
let busy = false;

async function look() {
  if (busy || document.hidden) return;
  busy = true;
  try {
    const answer = await fetch("/queue/version", { headers: { accept: "application/json" } });
    if (answer.status === 401) {
      live.textContent = "You were signed out. Reload the page.";
      clearInterval(timer);
    } else if (answer.ok && String((await answer.json()).version) !== version) {
      await refresh();
    }
  } catch {
    live.textContent = "The console does not answer; trying again.";
  } finally {
    busy = false;
  }
}

async function refresh() {
  const answer = await fetch(location.href, { headers: { "x-fragment": "rows" } });
  if (!answer.ok) return;
  const holder = document.createElement("table");
  holder.innerHTML = await answer.text();
  const fresh = holder.querySelector("tbody");
  const known = new Map(rows().map((row) => [row.dataset.case, row]));
  const focused = document.activeElement?.closest("tr[data-case]")?.dataset.case;
  let news = 0;
  for (const row of fresh.querySelectorAll("tr[data-case]")) {
    const old = known.get(row.dataset.case);
    if (!old) {
      row.classList.add("fresh");
      news += 1;
    } else {
      const ticked = old.querySelector("input[type=checkbox]");
      if (ticked?.checked) row.querySelector("input[type=checkbox]").checked = true;
      if (old.dataset.at !== row.dataset.at) row.classList.add("fresh");
    }
    if (row.dataset.case === at) row.classList.add("at");
  }
  version = fresh.dataset.version;
  list().replaceWith(fresh);
  if (focused) fresh.querySelector(`tr[data-case="${focused}"] a`)?.focus({ preventScroll: true });
  live.textContent = news ? `${news} new` : "";
}

const timer = setInterval(look, 3000);
