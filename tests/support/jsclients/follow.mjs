// Follows a stream of server-sent events with a client that others wrote, and prints each event as a line of JSON.
//   node follow.mjs eventsource|fetch-event-source URL KEY [LAST_EVENT_ID]
// Ends with [DONE], with a status other than 200 (`{"status": ...}`), or when the input is closed.
import { fetchEventSource } from '@microsoft/fetch-event-source';
import { EventSource } from 'eventsource';

const [client, url, key, lastEventId] = process.argv.slice(2);
const headers = { Authorization: `Bearer ${key}` };
if (lastEventId !== undefined) headers['Last-Event-ID'] = lastEventId;

function end(line) {
  process.stdout.write(line ? `${JSON.stringify(line)}\n` : '', () => process.exit(0));
}

function heard({ id, data }) {
  process.stdout.write(`${JSON.stringify({ id, data })}\n`);
  if (data === '[DONE]') end();
}

const clients = {
  // As a browser's: reconnects by itself with the id of the last event.
  eventsource() {
    const source = new EventSource(url, {
      fetch: (input, init) => fetch(input, { ...init, headers: { ...headers, ...init.headers } }),
    });
    source.onmessage = (event) => heard({ id: event.lastEventId, data: event.data });
    source.onerror = (event) => {
      if (source.readyState === EventSource.CLOSED) end({ status: event.code });
    };
  },

  'fetch-event-source'() {
    // It is written for pages: it wants a window and a document that can be hidden.
    globalThis.window = globalThis;
    globalThis.document = { hidden: false, addEventListener() {}, removeEventListener() {} };
    fetchEventSource(url, {
      headers,
      openWhenHidden: true,
      onopen: async (response) => {
        if (response.status !== 200) end({ status: response.status });
      },
      onmessage: heard,
      onerror: () => 100,
    });
  },
};

process.stdin.on('end', () => process.exit(0)).resume();
clients[client]();
