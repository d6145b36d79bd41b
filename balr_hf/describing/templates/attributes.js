const list = document.getElementById("attributes"), shown = document.getElementById("shown");
const articles = [...list.children], form = document.querySelector(".filter");
function update() {
  const { meaning, group, sort, words } = Object.fromEntries(new FormData(form));
  const wanted = words.trim().toLowerCase();
  let count = 0;
  for (const one of articles) {
    const fits = (!meaning || one.dataset.meaning === meaning) && (!group || one.dataset.group === group)
      && (!wanted || one.dataset.number === wanted || one.querySelector(".sentence").textContent.toLowerCase().includes(wanted));
    one.hidden = !fits;
    count += fits;
  }
  const down = sort === "number" ? 1 : -1;
  articles.sort((a, b) => down * (a.dataset[sort] - b.dataset[sort]) || a.dataset.number - b.dataset.number);
  list.append(...articles);
  shown.textContent = `${count} of ${articles.length} shown`;
}
form.addEventListener("input", update);
form.addEventListener("submit", event => event.preventDefault());
form.hidden = false;
update();
const clips = JSON.parse(document.getElementById("clips").textContent), player = new Audio();
list.addEventListener("click", event => {
  const name = event.target.dataset.clip;
  if (name === undefined) return;
  player.src = clips[name];
  player.play();
});
