// Answers the chat completions that the evaluation asks for; no model is called.
import { createServer } from 'node:http';

createServer(async (request, response) => {
  let body = '';
  for await (const chunk of request) body += chunk;
  const fails = body.includes('FAIL');
  response.writeHead(fails ? 400 : 200, { 'content-type': 'application/json' });
  response.end(JSON.stringify(fails ? { error: { message: 'the stub refuses this one', type: 'invalid_request_error', code: 'invalid' } } : {
    id: 'chatcmpl-1', object: 'chat.completion', created: 1, model: 'gpt-4o-mini-2024-07-18',
    choices: [{ index: 0, finish_reason: 'stop', message: { role: 'assistant', content: 'Your refund for this order is on its way.' } }],
    usage: { prompt_tokens: 31, completion_tokens: 12, total_tokens: 43, prompt_tokens_details: { cached_tokens: 8 }, completion_tokens_details: { reasoning_tokens: 0 } },
  }));
}).listen(18777, '127.0.0.1');
