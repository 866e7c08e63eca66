// Shows the sample responses of one category and one arm. Without a script all of them show.
(function () {
  "use strict";
  const form = document.getElementById("filter");
  if (!form) {
    return;
  }
  const samples = Array.from(document.querySelectorAll(".sample"));
  const shown = document.getElementById("shown");

  function apply() {
    const chosen = new FormData(form);
    const category = chosen.get("category") || "";
    const arm = chosen.get("arm") || "";
    let visible = 0;
    for (const sample of samples) {
      sample.hidden = category !== "" && sample.dataset.category !== category;
      visible += sample.hidden ? 0 : 1;
      for (const answers of sample.querySelectorAll(".arm-answers")) {
        answers.hidden = arm !== "" && answers.dataset.arm !== arm;
      }
    }
    shown.textContent = visible + " of " + samples.length + " items shown";
  }

  form.hidden = false;
  form.addEventListener("change", apply);
  form.addEventListener("submit", (event) => event.preventDefault());
  // A reloaded page keeps its form state but not what was hidden.
  window.addEventListener("pageshow", apply);
  apply();
})();
