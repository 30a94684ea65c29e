// The work of the benches `chain`, `goals` and `short` with Restate's server and a service in this process; see run.py.

import { spawn } from "node:child_process";
import http2 from "node:http2";
import { createServer } from "node:net";
import * as restate from "@restatedev/restate-sdk";

// The SDK asks for it, and Node has it from version 22.
Promise.withResolvers ??= () => {
  const all = {};
  all.promise = new Promise((resolve, reject) => Object.assign(all, { resolve, reject }));
  return all;
};

const [folder, name, n, STEPS, SHORT] = [process.argv[2], process.argv[3], ...process.argv.slice(4).map(Number)];

const free = () =>
  new Promise((done) => {
    const server = createServer().listen(0, "127.0.0.1", () => {
      const { port } = server.address();
      server.close(() => done(port));
    });
  });

const service = restate.service({
  name: "steps",
  handlers: {
    chain: async (ctx, count) => {
      let number = 0;
      for (let step = 0; step < count; step++) number = await ctx.run(`s${step}`, () => number + 1);
      return number;
    },
  },
});

const [own, ingress, admin, node] = [await free(), await free(), await free(), await free()];
const server = http2.createServer(restate.createEndpointHandler({ services: [service] }));
await new Promise((done) => server.listen(own, "127.0.0.1", done));

const child = spawn(process.env.RESTATE_SERVER, ["--base-dir", folder, "--no-logo"], {
  env: {
    ...process.env,
    RESTATE_DISABLE_TELEMETRY: "true",
    RESTATE_LOG_FILTER: "error",
    RESTATE_BIND_ADDRESS: `127.0.0.1:${node}`,
    RESTATE_ADVERTISED_ADDRESS: `http://127.0.0.1:${node}`,
    RESTATE_INGRESS__BIND_ADDRESS: `127.0.0.1:${ingress}`,
    RESTATE_ADMIN__BIND_ADDRESS: `127.0.0.1:${admin}`,
    // As durable as the others: the bench `chain` is safe from the end of the process, the others from a power cut.
    RESTATE_BIFROST__LOCAL__ROCKSDB_DISABLE_WAL_FSYNC: String(name === "chain"),
  },
  stdio: "ignore",
});

const post = async (url, body) => {
  const answer = await fetch(url, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body),
  });
  if (!answer.ok) throw new Error(`${url}: ${answer.status} ${await answer.text()}`);
  return answer.json();
};

try {
  for (let left = 300; ; left--) {
    try {
      await post(`http://127.0.0.1:${admin}/deployments`, { uri: `http://127.0.0.1:${own}` });
      break;
    } catch (error) {
      if (left === 0) throw error;
      await new Promise((done) => setTimeout(done, 100));
    }
  }
  const carry = async (count) => {
    const end = await post(`http://127.0.0.1:${ingress}/steps/chain`, count);
    if (end !== count) throw new Error(`${end} instead of ${count}`);
  };
  // The first call of a deployment costs more than any other.
  await carry(1);
  const seen = [];
  const timed = async (work) => {
    const begun = performance.now();
    await work();
    seen.push((performance.now() - begun) / 1e3);
  };
  if (name === "goals") await timed(() => Promise.all(Array.from({ length: n }, () => carry(STEPS))));
  else for (let round = 0; round < (name === "chain" ? 1 : SHORT); round++) await timed(() => carry(n));
  console.log(JSON.stringify(seen));
} finally {
  child.kill("SIGKILL");
  server.close();
}
process.exit(0);
