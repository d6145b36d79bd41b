// What scrolls can be reached by keyboard, and the search says what it is. Who goes from landmark to landmark finds the
// table of contents once, and no block of code. The theme makes some of these after loading.
function reachable() {
  for (const part of document.querySelectorAll(".md-typeset__scrollwrap, .md-typeset pre > code")) {
    if (part.scrollWidth > part.clientWidth) part.tabIndex = 0;
  }
  for (const part of document.querySelectorAll(".md-nav--secondary .md-nav, .md-code__nav")) {
    part.removeAttribute("aria-label");
    part.role = "none";
  }
  document.querySelector(".md-search")?.setAttribute("aria-label", "Search");
}

window.addEventListener("load", () => {
  reachable();
  setTimeout(reachable, 500);
});
window.addEventListener("resize", reachable);
