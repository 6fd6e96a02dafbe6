// A small gateway: follows the folder named by its first argument and answers /health?check=skills on the port named by its
// second one, or on a free one, which is its first line.
import http from "node:http";
import { SkillReloader, skillHealth } from "./skill-reloader.mjs";

const reloader = new SkillReloader(process.argv[2], { log: (line) => console.log(line) });
await reloader.start();
const server = http.createServer((request, response) => {
  if (!skillHealth(reloader, request, response)) response.writeHead(404).end();
});
server.listen(Number(process.argv[3] ?? 0), "127.0.0.1", () => console.log(`port ${server.address().port}`));
process.on("SIGTERM", async () => {
  await reloader.close();
  server.close();
  server.closeAllConnections();
});
