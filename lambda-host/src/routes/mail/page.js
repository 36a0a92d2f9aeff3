
const token = location.hash.slice(1);
const form = document.getElementById("form");
const password = document.getElementById("password");
const answer = document.getElementById("answer");
// Gone from the address bar and the history before anybody looks over a shoulder.
history.replaceState(null, "", location.pathname);
form.addEventListener("submit", async (event) => {
  event.preventDefault();
  answer.textContent = "One moment.";
  try {
    const reply = await fetch(location.pathname, {
      method: "POST",
      // The answer makes this browser known, by a cookie.
      credentials: "same-origin",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(password ? { token, new_password: password.value } : { token }),
    });
    if (reply.ok) {
      form.remove();
      answer.textContent = "Done. You can log in now, and close this page.";
    } else {
      const problem = await reply.json();
      answer.textContent = `That did not work: ${problem.detail}.`;
    }
  } catch {
    answer.textContent = "The service cannot be reached. Try again.";
  }
});
