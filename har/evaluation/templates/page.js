"use strict";
// Sorts tables, saves figures and tables, changes between light and dark. Asks nothing of anybody.
(() => {
  const find = (query, from = document) => [...from.querySelectorAll(query)];
  const isNumber = (cell) => cell.classList.contains("number");

  const save = (name, type, content) => {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([content], { type }));
    link.download = name;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 1000);
  };

  // CSV with the bytes of tables/*.csv: the page shows a minus sign where files have a hyphen, and n/a for nothing.
  const plain = (cell) => {
    const text = cell.textContent;
    if (cell.classList.contains("undefined")) return "";
    if (cell.tagName === "TD" && isNumber(cell)) return text.replace("\u2212", "-");
    return /^[=+\-@\t\r]/.test(text) && !/^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$/.test(text) ? "'" + text : text;
  };
  const quoted = (text) => (/[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);
  const csv = (table) => [table.tHead.rows[0], ...table.inFileOrder].map((row) => [...row.cells].map((cell) => quoted(plain(cell))).join(",") + "\n").join("");

  // An SVG of its own has the colours of a light page in place of the page's variables.
  const standalone = (svg) => new XMLSerializer().serializeToString(svg).replace(/var\(--[\w-]+, (#[0-9a-f]{6})\)/g, "$1") + "\n";

  const words = new Intl.Collator("en", { numeric: true });
  const value = (cell) => (isNumber(cell) ? parseFloat(plain(cell)) : cell.textContent);
  const isNothing = (found) => found === "" || Number.isNaN(found);
  const compare = (a, b) => (typeof a === "number" ? a - b : words.compare(a, b));

  const sort = (table, head) => {
    const next = { none: "ascending", ascending: "descending", descending: "none" }[head.getAttribute("aria-sort")];
    find("th", table).forEach((other) => other.setAttribute("aria-sort", other === head ? next : "none"));
    const rows = table.inFileOrder.map((row) => [row, value(row.cells[head.cellIndex])]);
    const sign = next === "descending" ? -1 : 1;
    if (next !== "none")
      rows.sort(([, a], [, b]) => isNothing(a) - isNothing(b) || (isNothing(a) ? 0 : sign * compare(a, b)));
    table.tBodies[0].append(...rows.map(([row]) => row));
  };

  find("table").forEach((table) => {
    table.inFileOrder = [...table.tBodies[0].rows];
    find("th", table).forEach((head) => {
      const button = document.createElement("button");
      button.type = "button";
      button.append(...head.childNodes);
      button.addEventListener("click", () => sort(table, head));
      head.setAttribute("aria-sort", "none");
      head.append(button);
    });
  });

  find("[data-csv]").forEach((button) =>
    button.addEventListener("click", () => {
      const name = button.dataset.csv;
      const unseen = document.querySelector(`[data-file="${name}"]`);
      save(`${name}.csv`, "text/csv", unseen ? unseen.content.textContent : csv(document.querySelector(`[data-name="${name}"]`)));
    }));
  find("[data-svg]").forEach((button) =>
    button.addEventListener("click", () => {
      const name = button.dataset.svg;
      save(`${name}.svg`, "image/svg+xml", standalone(document.getElementById(`figure-${name}`).querySelector("svg")));
    }));

  const theme = document.querySelector(".theme");
  const systemIsDark = matchMedia("(prefers-color-scheme: dark)");
  const isDark = () => (document.documentElement.dataset.theme || (systemIsDark.matches ? "dark" : "light")) === "dark";
  const name = () => { theme.textContent = isDark() ? "Light" : "Dark"; };
  theme.addEventListener("click", () => { document.documentElement.dataset.theme = isDark() ? "light" : "dark"; name(); });
  systemIsDark.addEventListener("change", name);
  name();
  find("button[hidden]").forEach((button) => { button.hidden = false; });
})();
