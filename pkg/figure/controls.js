// Controls over figures drawn ahead. Data is base64 of gzip of JSON: texts is the distinct lines of all SVGs and captions,
// pictures[i] lists lines of picture i by number, the last the caption; the last control varies fastest.
(function start(tries) {
  const roots = document.querySelectorAll('[data-palimpsest="KEY"]:not([data-ready])');
  if (!roots.length && tries) return void setTimeout(start, 50, tries - 1); // not attached yet
  const controls = CONTROLS, data = "DATA";
  // A notebook takes arrow keys for its own, where it hears of them.
  if (!window.palimpsestKeys) {
    window.palimpsestKeys = true;
    window.addEventListener("keydown", (e) => e.target.closest?.("[data-palimpsest] label") && e.stopPropagation(), true);
  }
  for (const root of roots) {
    root.dataset.ready = "1";
    const bytes = Uint8Array.from(atob(data), (c) => c.charCodeAt(0));
    new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"))).json().then(({ texts, pictures }) => {
      const form = document.createElement("div"), picture = document.createElement("div"), caption = document.createElement("p");
      form.style.cssText = "display:flex;flex-wrap:wrap;gap:4px 22px;align-items:center;margin:4px 0 8px";
      caption.setAttribute("aria-live", "polite");
      caption.style.cssText = "max-width:720px;margin:4px 0";
      const pick = controls.map((c) => c.start);
      const draw = () => {
        const at = controls.reduce((n, c, i) => n * c.options.length + pick[i], 0);
        const lines = pictures[at].map((n) => texts[n]);
        caption.innerHTML = lines.pop();
        picture.innerHTML = lines.join("\n");
      };
      controls.forEach((c, i) => {
        const label = document.createElement("label");
        label.style.cssText = "display:inline-flex;flex-wrap:wrap;gap:4px 8px;align-items:center;max-width:100%;min-width:0";
        label.append(c.name);
        const last = c.options.length - 1;
        let input, told;
        if (c.slider) {
          input = Object.assign(document.createElement("input"), { type: "range", min: 0, max: last, step: 1, value: c.start });
          input.style.cssText = "width:180px;accent-color:#0072b2";
          told = document.createElement("output");
          told.style.cssText = "max-width:100%;overflow-wrap:anywhere;min-width:" + Math.min(24, Math.max(...c.options.map((o) => o.length))) + "ch";
        } else {
          input = document.createElement("select");
          input.append(...c.options.map((o, k) => new Option(o, k, k === c.start, k === c.start)));
          input.style.cssText = "font:inherit;max-width:min(100%,26em);padding:2px 4px;color:inherit;border:1px solid currentColor;border-radius:4px;" +
            "background:var(--jp-layout-color1,var(--vscode-editor-background,Canvas))";
          for (const o of input.options) o.style.cssText = "background:inherit;color:inherit";
        }
        const tell = () => {
          if (!told) return;
          told.textContent = c.options[pick[i]];
          input.setAttribute("aria-valuetext", c.options[pick[i]]);
        };
        input.setAttribute("aria-label", c.name);
        input.addEventListener("input", () => {
          pick[i] = +input.value;
          tell();
          draw();
        });
        tell();
        label.append(input);
        if (told) label.append(told);
        form.append(label);
      });
      draw();
      root.querySelector("[data-still]").replaceWith(form, picture, caption);
      // The still of a notebook is the output above.
      const above = root.closest(".jp-OutputArea-child")?.previousElementSibling;
      if (above?.querySelector("img")) above.style.display = "none";
    });
  }
})(200);
