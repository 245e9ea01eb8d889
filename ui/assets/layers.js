// Two pictures of the same place, one over the other: a range input says how much of the upper one is seen.
export default function (component) {
  const { data, parentElement } = component;
  const find = (name) => parentElement.querySelector(name);
  const stage = find(".stage"), base = find(".base"), top = find(".top"), edge = find(".edge"), range = find("input");
  const whole = parentElement.querySelector(".layers");
  base.onload = () => whole.style.setProperty("--aspect", base.naturalWidth / base.naturalHeight);
  base.src = data.base;
  base.alt = data.baseAlt;
  top.src = data.top;
  top.alt = data.topAlt;
  stage.dataset.mode = data.mode;
  find(".left").textContent = data.left;
  find(".right").textContent = data.right;
  range.setAttribute("aria-label", data.label);
  // A rerun brings other pictures; where the person had put the slider stays.
  if (range.dataset.mode !== data.mode) {
    range.dataset.mode = data.mode;
    range.value = data.start;
  }
  const show = () => {
    const share = Number(range.value);
    if (data.mode === "opacity") {
      top.style.opacity = share / 100;
      range.setAttribute("aria-valuetext", `${share} per cent`);
      return;
    }
    top.style.clipPath = `inset(0 0 0 ${share}%)`;
    edge.style.left = `${share}%`;
    range.setAttribute("aria-valuetext", `${share} per cent ${data.left}, ${100 - share} per cent ${data.right}`);
  };
  const drag = (event) => {
    if (data.mode !== "split" || event.buttons !== 1) return;
    const box = stage.getBoundingClientRect();
    range.value = Math.round((100 * (event.clientX - box.left)) / box.width);
    show();
  };
  range.oninput = show;
  stage.onpointerdown = drag;
  stage.onpointermove = drag;
  show();
}
