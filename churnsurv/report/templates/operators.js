"use strict";
(() => {
  const sortable = (table) => {
    const body = table.tBodies[0];
    const heads = Array.from(table.tHead.rows[0].cells);
    const value = (row, place) => row.cells[place].dataset.key;
    const compare = (one, other, numeric) =>
      numeric ? Number(one) - Number(other) : one.localeCompare(other, undefined, { numeric: true });
    heads.forEach((head, place) => {
      const button = head.querySelector("button");
      button.disabled = false;
      button.addEventListener("click", () => {
        const numeric = head.dataset.numeric === "yes";
        const down = head.getAttribute("aria-sort") === "ascending";
        heads.forEach((each) => each.removeAttribute("aria-sort"));
        head.setAttribute("aria-sort", down ? "descending" : "ascending");
        const rows = Array.from(body.rows);
        rows.sort((a, b) => {
          const one = value(a, place), other = value(b, place);
          if (one === "" || other === "") return (one === "") - (other === "");
          const order = compare(one, other, numeric);
          return (down ? -order : order) || Number(value(a, 0)) - Number(value(b, 0));
        });
        body.append(...rows);
      });
    });
  };
  document.querySelectorAll("table.sorted").forEach(sortable);
})();
