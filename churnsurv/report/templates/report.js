"use strict";
// What the page can do beyond being read: contents that follow, tables that sort, figures that say their values.
(() => {
  const root = document.documentElement;
  const words = document.body.dataset; // what the script says, in the language of the page
  const all = (selector, within = document) => Array.from(within.querySelectorAll(selector));
  const made = (tag, properties = {}) => Object.assign(document.createElement(tag), properties);
  root.dataset.script = "on";

  // light or dark: the system's, until one chooses
  const night = matchMedia("(prefers-color-scheme: dark)");
  const dark = () => (root.dataset.scheme ? root.dataset.scheme === "dark" : night.matches);
  const button = made("button", { type: "button", className: "scheme", textContent: words.dark });
  const tell = () => button.setAttribute("aria-pressed", String(dark()));
  button.addEventListener("click", () => {
    root.dataset.scheme = dark() ? "light" : "dark";
    tell();
  });
  night.addEventListener("change", tell);
  tell();
  document.querySelector("header").append(button);

  // contents that follow the text
  const contents = (nav) => {
    const fold = nav.querySelector("details");
    const here = nav.querySelector(".here");
    const links = all("a", nav);
    const targets = links.map((link) => document.getElementById(decodeURIComponent(link.hash.slice(1))));
    const desk = matchMedia("(min-width: 1080px)");
    let waiting = false;
    const follow = () => {
      waiting = false;
      const started = targets.filter((target) => target.getBoundingClientRect().top < innerHeight / 3).length;
      const last = scrollY > 0 && scrollY + innerHeight >= root.scrollHeight - 2;
      const now = links[last ? links.length - 1 : Math.max(started - 1, 0)];
      if (now.hasAttribute("aria-current")) return;
      links.forEach((link) => link.removeAttribute("aria-current"));
      now.setAttribute("aria-current", "true");
      here.textContent = now.textContent;
      const [item, list] = [now.getBoundingClientRect(), nav.getBoundingClientRect()];
      if (item.top < list.top) nav.scrollTop -= list.top - item.top;
      if (item.bottom > list.bottom) nav.scrollTop += item.bottom - list.bottom;
    };
    const fit = () => {
      fold.open = desk.matches;
      fold.firstElementChild.tabIndex = desk.matches ? -1 : 0; // a desk has room: the list stays open
    };
    fold.addEventListener("toggle", () => { if (desk.matches) fold.open = true; });
    desk.addEventListener("change", fit);
    nav.addEventListener("click", (event) => { if (event.target.closest("a")) fit(); });
    addEventListener("scroll", () => {
      if (!waiting) requestAnimationFrame(follow);
      waiting = true;
    }, { passive: true });
    fit();
    if (links.length) follow();
  };
  all("nav").forEach(contents);

  // tables: sort and fold
  const collator = new Intl.Collator(root.lang, { numeric: true });
  const order = (cell, byNumber) => {
    if (byNumber) return cell.dataset.o === undefined ? null : Number(cell.dataset.o);
    const text = cell.textContent.trim();
    return text === "" || text === "–" ? null : text;
  };
  const sortable = (table) => {
    const body = table.tBodies[0];
    const rows = Array.from(body.rows);
    const heads = Array.from(table.tHead.rows[0].cells);
    const ordered = (place, down) => {
      const byNumber = heads[place].dataset.by === "number";
      const keys = new Map(rows.map((row) => [row, order(row.cells[place], byNumber)]));
      return rows.slice().sort((one, other) => {
        const [a, b] = [keys.get(one), keys.get(other)];
        if (a === null || b === null) return (a === null) - (b === null); // what says nothing stands last
        const found = a === b ? 0 : byNumber ? (a < b ? -1 : 1) : collator.compare(a, b);
        return down ? -found : found;
      });
    };
    heads.forEach((head, place) => {
      if (!head.textContent.trim()) return;
      const sorter = made("button", { type: "button" });
      sorter.append(...head.childNodes);
      head.append(sorter);
      sorter.addEventListener("click", () => {
        const next = { ascending: "descending", descending: "" }[head.getAttribute("aria-sort")] ?? "ascending";
        heads.forEach((each) => each.removeAttribute("aria-sort"));
        if (next) head.setAttribute("aria-sort", next);
        body.append(...(next ? ordered(place, next === "descending") : rows)); // the third time as printed
      });
    });
  };
  const foldable = (table) => {
    const n = table.tBodies[0].rows.length;
    if (n <= 16) return;
    const more = made("button", { type: "button", className: "rows" });
    const fold = (folded) => {
      table.classList.toggle("folded", folded);
      more.setAttribute("aria-expanded", String(!folded));
      more.textContent = folded ? words.rows.replace("{n}", n.toLocaleString("en")) : words.fewer;
    };
    more.addEventListener("click", () => fold(!table.classList.contains("folded")));
    fold(true);
    table.closest(".scroll").after(more);
  };
  all("table.sorts").forEach(sortable);
  all("table.sorts").forEach(foldable);
  // The keyboard need only reach what scrolls.
  const reach = new ResizeObserver((seen) => seen.forEach(({ target }) => {
    target.tabIndex = target.scrollWidth > target.clientWidth ? 0 : -1;
  }));
  all(".scroll").forEach((each) => reach.observe(each));

  // figures: values and their data
  const unpacked = async (figure) => {
    const bytes = Uint8Array.from(atob(figure.querySelector("script").textContent), (c) => c.charCodeAt(0));
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
    return JSON.parse(await new Response(stream).text());
  };
  const readable = (drawing, place, label, data) => {
    const plots = all(".plot", drawing);
    const dot = made("span", { className: "dot" });
    const tip = made("span", { className: "tip" });
    const range = made("input", { type: "range", min: 0, max: 0, value: 0 });
    let seen = null; // the drawing of this width
    let points = [];
    const load = async () => {
      const at = plots.findIndex((plot) => plot.getClientRects().length);
      const { marks } = await data();
      if (seen === plots[at]) return;
      seen = plots[at];
      points = marks[place][at].flatMap(([name, each], line) => each.map(([x, y, text]) => ({ name, line, x, y, text })));
      range.max = Math.max(points.length - 1, 0);
    };
    const placing = () => { // from the units of the drawing to pixels beside its corner
      const svg = seen.querySelector("svg");
      const [box, mine] = [svg.getBoundingClientRect(), drawing.getBoundingClientRect()];
      const { x: left, y: top, width } = svg.viewBox.baseVal;
      const size = box.width / width;
      return ({ x, y }) => [box.left - mine.left + (x - left) * size, box.top - mine.top + (y - top) * size];
    };
    const show = (n) => {
      if (!points[n]) return;
      const { name, text } = points[n];
      const [x, y] = placing()(points[n]);
      range.value = n;
      range.setAttribute("aria-valuetext", name ? `${name}, ${text}` : text);
      tip.replaceChildren(...(name ? [made("b", { textContent: name })] : []), made("span", { textContent: text }));
      drawing.classList.add("told");
      dot.style.translate = `${x}px ${y}px`;
      const left = Math.max(Math.min(x - tip.offsetWidth / 2, drawing.clientWidth - tip.offsetWidth), 0);
      const above = y - tip.offsetHeight - 12;
      tip.style.translate = `${left}px ${above < -40 ? y + 14 : above}px`;
    };
    const hide = () => {
      drawing.classList.remove("told");
      [dot, tip].forEach((each) => { each.style.translate = ""; }); // where they stood may be off a smaller page
    };
    const near = async ({ clientX, clientY }) => {
      await load();
      const place = placing();
      const { left, top } = drawing.getBoundingClientRect();
      const far = points.map(place).map(([x, y]) => Math.hypot(left + x - clientX, top + y - clientY));
      show(far.indexOf(Math.min(...far)));
    };
    const jump = (by) => { // to the nearest point of the next line
      const now = points[range.value];
      const off = ({ x, y }) => Math.hypot(x - now.x, y - now.y);
      const there = points.filter((point) => point.line === now.line + by);
      if (there.length) show(points.indexOf(there.reduce((best, point) => (off(point) < off(best) ? point : best))));
    };
    range.setAttribute("aria-label", `${label}. ${words.values}`);
    range.addEventListener("focus", async () => { await load(); show(range.value); });
    range.addEventListener("input", () => show(range.value));
    range.addEventListener("blur", hide);
    range.addEventListener("keydown", (event) => {
      const by = { ArrowUp: -1, ArrowDown: 1 }[event.key];
      if (by === undefined || !points.length) return;
      event.preventDefault();
      jump(by);
    });
    drawing.addEventListener("pointermove", near);
    drawing.addEventListener("pointerdown", near);
    drawing.addEventListener("pointerleave", (event) => { if (event.pointerType !== "touch") hide(); });
    document.addEventListener("pointerdown", (event) => drawing.contains(event.target) || hide());
    document.addEventListener("keydown", (event) => event.key === "Escape" && hide());
    addEventListener("resize", hide);
    drawing.append(range, dot, tip);
  };
  const figured = (figure) => {
    let found = null;
    const data = () => (found ??= unpacked(figure)); // when it is asked for
    const title = figure.querySelector("figcaption").textContent.trim();
    all(".drawing", figure).forEach((drawing, place) => {
      if (drawing.matches(".marked")) readable(drawing, place, figure.querySelector(".panels") ? `${title} ${place + 1}` : title, data);
    });
    const link = figure.querySelector("a.data");
    link.addEventListener("click", async (event) => {
      event.preventDefault();
      const url = URL.createObjectURL(new Blob(["\ufeff", (await data()).csv], { type: "text/csv" }));
      made("a", { href: url, download: link.getAttribute("href").split("/").pop() }).click();
      setTimeout(() => URL.revokeObjectURL(url), 1000);
    });
  };
  if (typeof DecompressionStream === "function") all("figure").forEach(figured);
})();
