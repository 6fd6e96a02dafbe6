// A small gateway: follows the folder named by its argument and answers /health?check=skills; its port is its first line.
import http from "node:http";
import { SkillReloader, skillHealth } from "./skill-reloader.mjs";

const reloader = new SkillReloader(process.argv[2], { log: (line) => console.log(line) });
await reloader.start();
const server = http.createServer((request, response) => {
  if (!skillHealth(reloader, request, response)) response.writeHead(404).end();
});
server.listen(0, "127.0.0.1", () => console.log(`port ${server.address().port}`));
process.on("SIGTERM", async () => {
  await reloader.close();
  server.close();
  server.closeAllConnections();
});
