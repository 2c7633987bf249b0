// Each row of pictures in the gallery becomes two of them, one over the other, with a line between that can be dragged.
"use strict";
(() => {
  const element = (tag, attributes = {}, ...children) => {
    const node = document.createElement(tag);
    for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
    node.append(...children);
    return node;
  };
  const OURS = "vaecodec";
  for (const row of document.querySelectorAll(".compare")) {
    const images = Object.fromEntries([...row.querySelectorAll("img")].map((image) => [image.alt, image]));
    const others = Object.keys(images).filter((name) => name !== OURS);
    const stage = element("div", { class: "stage" });
    const over = element("div", { class: "over" });
    const left = element("span", { class: "side left" });
    const range = element("input", { type: "range", min: 0, max: 100, step: 0.1, value: 50, "aria-label": "Where the two pictures meet" });
    const buttons = others.map((name) => element("button", { type: "button" }, name));
    const show = (name) => {
      over.replaceChildren(images[name]);
      left.textContent = name;
      buttons.forEach((button) => button.setAttribute("aria-pressed", String(button.textContent === name)));
    };
    buttons.forEach((button) => button.addEventListener("click", () => show(button.textContent)));
    range.addEventListener("input", () => stage.style.setProperty("--cut", `${range.value}%`));
    for (const image of Object.values(images)) image.loading = "eager";
    stage.append(images[OURS], over, element("span", { class: "line" }), left, element("span", { class: "side right" }, OURS), range);
    row.replaceChildren(element("div", { class: "pick" }, "left side: ", ...buttons), stage);
    row.dataset.ready = "yes";
    show(others.includes("AVIF") ? "AVIF" : others[0]);
  }
})();
