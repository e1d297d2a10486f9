"use strict";
const field = document.getElementById("filter");
const sections = [...document.querySelectorAll("main section")];

function show() {
  const words = field.value.toLowerCase().split(/\s+/).filter(Boolean);
  let found = 0;
  for (const section of sections) {
    let here = 0;
    for (const operation of section.querySelectorAll(".operation")) {
      const text = operation.querySelector("summary").textContent.toLowerCase();
      operation.hidden = !words.every((word) => text.includes(word));
      here += operation.hidden ? 0 : 1;
    }
    section.hidden = words.length > 0 && here === 0;
    found += here;
  }
  document.getElementById("nothing").hidden = words.length === 0 || found > 0;
}

function openTarget() {
  const target = document.getElementById(location.hash.slice(1));
  if (target instanceof HTMLDetailsElement) target.open = true;
}

field.addEventListener("input", show);
window.addEventListener("hashchange", openTarget);
document.addEventListener("keydown", (event) => {
  if (event.key === "/" && document.activeElement !== field) {
    event.preventDefault();
    field.focus();
  }
});
openTarget();
