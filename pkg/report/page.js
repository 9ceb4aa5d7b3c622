// Everything is readable without this script: it only hides all but one of alternative panels, and sorts tables.
document.querySelectorAll("[data-tabs]").forEach(function (group) {
  var panels = Array.from(group.children);
  var bar = document.createElement("div");
  bar.className = "tabs";
  bar.setAttribute("role", "tablist");
  function show(chosen) {
    panels.forEach(function (panel, i) {
      panel.hidden = i !== chosen;
      bar.children[i].setAttribute("aria-selected", String(i === chosen));
    });
  }
  panels.forEach(function (panel, i) {
    var button = document.createElement("button");
    button.type = "button";
    button.setAttribute("role", "tab");
    button.textContent = panel.dataset.title;
    button.addEventListener("click", function () { show(i); });
    bar.append(button);
    var heading = panel.querySelector("h3");
    if (heading) { heading.hidden = true; }
  });
  group.before(bar);
  show(0);
});
document.querySelectorAll("table.numbers").forEach(function (table) {
  Array.from(table.tHead.rows[0].cells).forEach(function (head, column) {
    var button = document.createElement("button");
    button.type = "button";
    button.textContent = head.textContent;
    head.replaceChildren(button);
    button.addEventListener("click", function () {
      var up = head.getAttribute("aria-sort") !== "ascending";
      Array.from(table.tHead.rows[0].cells).forEach(function (other) { other.removeAttribute("aria-sort"); });
      head.setAttribute("aria-sort", up ? "ascending" : "descending");
      function key(row) {
        var cell = row.cells[column];
        if (column === 0) { return cell.textContent; }
        return cell.dataset.value === "" ? NaN : Number(cell.dataset.value);
      }
      var rows = Array.from(table.tBodies[0].rows);
      rows.sort(function (a, b) {
        var x = key(a), y = key(b);
        if (column === 0) { return (up ? 1 : -1) * x.localeCompare(y, undefined, { numeric: true }); }
        if (isNaN(x) || isNaN(y)) { return isNaN(x) - isNaN(y); }
        return (up ? 1 : -1) * (x - y);
      });
      table.tBodies[0].append.apply(table.tBodies[0], rows);
    });
  });
});
// On paper nothing can be opened.
var opened = [];
window.addEventListener("beforeprint", function () {
  opened = Array.from(document.querySelectorAll("details:not([open])"));
  opened.forEach(function (d) { d.open = true; });
});
window.addEventListener("afterprint", function () { opened.forEach(function (d) { d.open = false; }); });
