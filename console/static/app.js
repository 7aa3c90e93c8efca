// What every page does with script: themes, keys, the search field. Everything works without it, only less quickly.

const fields = "input, select, textarea";

export function dark() {
  const chosen = document.documentElement.dataset.theme;
  return chosen === "dark" || (chosen === "auto" && matchMedia("(prefers-color-scheme: dark)").matches);
}

for (const set of document.querySelectorAll(".themes")) {
  set.hidden = false;
  set.addEventListener("click", (event) => {
    const theme = event.target.dataset.setTheme;
    if (!theme) return;
    document.documentElement.dataset.theme = theme;
    document.cookie = `theme=${theme}; path=/; max-age=31536000; samesite=lax`;
    for (const button of set.querySelectorAll("button")) {
      button.setAttribute("aria-pressed", String(button.dataset.setTheme === theme));
    }
    document.dispatchEvent(new Event("theme"));
  });
}

document.addEventListener("click", (event) => {
  for (const menu of document.querySelectorAll("details.menu[open]")) {
    if (!menu.contains(event.target)) menu.open = false;
  }
});

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.key === "Escape") {
    if (document.activeElement?.matches(fields)) document.activeElement.blur();
    return;
  }
  if (event.target.matches(fields) && !["radio", "checkbox"].includes(event.target.type)) return;
  if (document.querySelector("dialog[open]")) return;
  if (event.key === "/") {
    event.preventDefault();
    document.getElementById("find")?.focus();
  } else if (event.key === "?") {
    document.getElementById("keys").showModal();
  } else if (event.key === "q" && !location.pathname.startsWith("/queue")) {
    location.href = "/queue";
  } else {
    const meant = [...document.querySelectorAll("[data-key]")].find((one) => one.dataset.key === event.key);
    if (!meant) return;
    event.preventDefault();
    meant.click();
    if (meant.matches("input")) meant.dispatchEvent(new CustomEvent("chosen", { bubbles: true }));
  }
});
