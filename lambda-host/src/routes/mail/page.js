
const token = location.hash.slice(1);
const form = document.getElementById("form");
const field = document.getElementById("field");
const password = document.getElementById("password");
const answer = document.getElementById("answer");
// Gone from the address bar and the history before anybody looks over a shoulder.
history.replaceState(null, "", location.pathname);
// Another link opened in the same tab changes only the fragment: the page starts again with its token.
addEventListener("hashchange", () => location.reload());
form.addEventListener("submit", async (event) => {
  event.preventDefault();
  answer.textContent = "One moment.";
  try {
    const reply = await fetch(location.pathname, {
      method: "POST",
      // The answer makes this browser known, by a cookie.
      credentials: "same-origin",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(field && !field.hidden ? { token, new_password: password.value } : { token }),
    });
    if (reply.ok) {
      form.remove();
      answer.textContent = "Done. You can log in now, and close this page.";
    } else {
      const problem = await reply.json();
      if (problem.code === "new_password_required" && field?.hidden) {
        field.hidden = false;
        password.required = true;
        password.focus();
        answer.textContent = "Choose a new password. The one of the registration is not valid in this browser.";
        return;
      }
      answer.textContent = `That did not work: ${problem.detail}.`;
    }
  } catch {
    answer.textContent = "The service cannot be reached. Try again.";
  }
});
