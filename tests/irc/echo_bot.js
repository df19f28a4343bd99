// A bot of Node's irc-framework: goes to #lobby and says again what others say there. Called with HOST and PORT.
const { Client } = require("irc-framework");

const [host, port] = process.argv.slice(2);
const bot = new Client();
bot.connect({ host, port: Number(port), nick: "echo", auto_reconnect: false });
bot.on("registered", () => bot.join("#lobby"));
// What was said before it came has a time long past.
bot.on("privmsg", (event) => {
  if (event.target === "#lobby" && event.ident !== "earlier") bot.say("#lobby", event.message);
});
