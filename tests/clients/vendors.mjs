// Agent SDKs with their own ingestion formats, pointed at an appliance by nothing but their own settings; model calls are answered by a stub on loopback.
// Usage: node vendors.mjs langsmith|langgraph|langfuse|openai|vercel|phoenix URL SAID; prints one JSON object that names the trace.
import http from 'node:http';

const [what, url, said] = process.argv.slice(2);

const stub = (answers) => new Promise((resolve) => {
  const server = http.createServer((request, response) => {
    request.resume();
    request.on('end', () => {
      response.setHeader('content-type', 'application/json');
      response.end(JSON.stringify({
        id: 'chatcmpl-1', object: 'chat.completion', created: 1795240800, model: 'gpt-4o-mini-2024-07-18',
        choices: [{ index: 0, finish_reason: 'stop', message: answers.shift() }],
        usage: { prompt_tokens: 100, completion_tokens: 20, total_tokens: 120 },
      }));
    });
  });
  server.listen(0, '127.0.0.1', () => resolve(server));
});

const clients = {
  async langsmith() {
    const { Client, RunTree } = await import('langsmith');
    const client = new Client({ apiUrl: url, apiKey: 'lsv2_pt_any' });
    const root = new RunTree({ name: 'refund-agent', run_type: 'chain', client, project_name: 'support', inputs: { question: said }, extra: { metadata: { thread_id: 'ticket-9421' } } });
    await root.postRun();
    const call = root.createChild({ name: 'ChatOpenAI', run_type: 'llm', inputs: { messages: [{ role: 'user', content: said }] }, extra: { metadata: { ls_provider: 'openai', ls_model_name: 'gpt-4o-mini' } } });
    await call.postRun();
    await call.end({ messages: [{ role: 'assistant', content: said }], usage_metadata: { input_tokens: 100, output_tokens: 20, total_tokens: 120 } });
    await call.patchRun();
    const tool = root.createChild({ name: 'crm.lookup', run_type: 'tool', inputs: { order: said } });
    await tool.postRun();
    await tool.end(undefined, `TimeoutError: ${said}`);
    await tool.patchRun();
    await root.end({ answer: said });
    await root.patchRun();
    await client.awaitPendingTraceBatches();
    await client.createFeedback(root.id, 'helpful', { score: 0.5, comment: said });
    return { trace: root.trace_id.replaceAll('-', '') };
  },

  async langgraph() {
    Object.assign(process.env, { LANGSMITH_TRACING: 'true', LANGSMITH_ENDPOINT: url, LANGSMITH_API_KEY: 'lsv2_pt_any', LANGSMITH_PROJECT: 'support' });
    const { Annotation, Command, END, MemorySaver, START, StateGraph, interrupt } = await import('@langchain/langgraph');
    const { awaitAllCallbacks } = await import('@langchain/core/callbacks/promises');
    const { Client } = await import('langsmith');
    const State = Annotation.Root({ order: Annotation(), decision: Annotation() });
    const graph = new StateGraph(State)
      .addNode('ask_human', () => ({ decision: interrupt({ question: said }) }))
      .addEdge(START, 'ask_human').addEdge('ask_human', END)
      .compile({ checkpointer: new MemorySaver() });
    const config = { configurable: { thread_id: 'ticket-9421' }, runName: 'refund-graph' };
    await graph.invoke({ order: said }, config);
    const done = await graph.invoke(new Command({ resume: 'approve' }), config);
    await awaitAllCallbacks();
    await new Client().awaitPendingTraceBatches();
    await new Promise((go) => setTimeout(go, 1500)); // the tracer of a graph has a client of its own, which sends every quarter of a second
    return { decision: done.decision };
  },

  async langfuse() {
    const { Langfuse } = await import('langfuse');
    const langfuse = new Langfuse({ publicKey: 'pk-lf-any', secretKey: 'sk-lf-any', baseUrl: url });
    const trace = langfuse.trace({ name: 'refund', userId: 'mrs.planted@mail.example', sessionId: 'ticket-9421', input: said, environment: 'prod' });
    const generation = trace.generation({ name: 'chat', model: 'gpt-4o-mini', input: [{ role: 'user', content: said }] });
    generation.end({ output: said, usageDetails: { input: 100, output: 20, total: 120 }, costDetails: { total: 0.0031 } });
    const span = trace.span({ name: 'crm.lookup', input: { order: said } });
    span.end({ level: 'ERROR', statusMessage: said });
    generation.score({ name: 'helpful', value: 1, comment: said });
    await langfuse.shutdownAsync();
    return { trace: trace.id };
  },

  async openai() {
    const agents = await import('@openai/agents');
    const { OpenAI } = await import('openai');
    const { z } = await import('zod');
    agents.setTraceProcessors([new agents.BatchTraceProcessor(new agents.OpenAITracingExporter({ endpoint: `${url}/v1/traces/ingest`, apiKey: 'sk-any' }))]);
    const call = { role: 'assistant', content: null, tool_calls: [{ id: 'call_0001', type: 'function', function: { name: 'refund_submit', arguments: JSON.stringify({ order: said }) } }] };
    const server = await stub([call, { role: 'assistant', content: said }]);
    const model = new agents.OpenAIChatCompletionsModel(new OpenAI({ apiKey: 'sk-any', baseURL: `http://127.0.0.1:${server.address().port}/v1` }), 'gpt-4o-mini');
    const tool = agents.tool({ name: 'refund_submit', description: 'Refunds an order.', parameters: z.object({ order: z.string() }), needsApproval: true, execute: async () => said });
    const agent = new agents.Agent({ name: 'Refunds', instructions: 'Refund orders.', model, tools: [tool] });
    const runner = new agents.Runner({ workflowName: 'refund', groupId: 'ticket-9421', traceIncludeSensitiveData: true });
    let trace;
    await agents.withTrace('refund', async (current) => {
      trace = current.traceId;
      const first = await runner.run(agent, said);
      for (const interruption of first.interruptions) first.state.reject(interruption);
      await runner.run(agent, first.state);
    }, { groupId: 'ticket-9421' });
    await agents.getGlobalTraceProvider().forceFlush();
    await new Promise((go) => setTimeout(go, 1000));
    server.close();
    return { trace: trace.replace('trace_', '') };
  },

  async vercel() {
    const { generateText, stepCountIs, tool } = await import('ai');
    const { MockLanguageModelV3 } = await import('ai/test');
    const { NodeTracerProvider, BatchSpanProcessor } = await import('@opentelemetry/sdk-trace-node');
    const { OTLPTraceExporter } = await import('@opentelemetry/exporter-trace-otlp-proto');
    const { z } = await import('zod');
    const provider = new NodeTracerProvider({ spanProcessors: [new BatchSpanProcessor(new OTLPTraceExporter({ url: `${url}/v1/traces` }))] });
    provider.register(); // its context manager makes the SDK's spans children of ours
    const usage = { inputTokens: { total: 100, noCache: 100, cacheRead: 0, cacheWrite: 0 }, outputTokens: { total: 20, text: 20, reasoning: 0 } };
    const answers = [
      { content: [{ type: 'tool-call', toolCallId: 'call_0001', toolName: 'crm_lookup', input: JSON.stringify({ order: said }) }], finishReason: { unified: 'tool-calls' }, usage, warnings: [] },
      { content: [{ type: 'text', text: said }], finishReason: { unified: 'stop' }, usage, warnings: [] },
    ];
    const model = new MockLanguageModelV3({ provider: 'openai', modelId: 'gpt-4o-mini', doGenerate: async () => answers.shift() });
    let trace;
    const tracer = provider.getTracer('ai');
    await tracer.startActiveSpan('invoke_agent Refunds', { attributes: { 'gen_ai.operation.name': 'invoke_agent', 'gen_ai.agent.name': 'Refunds' } }, async (root) => {
      trace = root.spanContext().traceId;
      await generateText({
        model, prompt: said, stopWhen: stepCountIs(3),
        tools: { crm_lookup: tool({ description: 'Looks an order up.', inputSchema: z.object({ order: z.string() }), execute: async () => said }) },
        experimental_telemetry: { isEnabled: true, functionId: 'refunds', metadata: { sessionId: 'ticket-9421', userId: 'mrs.planted@mail.example' }, tracer },
      });
      root.end();
    });
    await provider.shutdown();
    return { trace };
  },

  async phoenix() {
    const { register } = await import('@arizeai/phoenix-otel');
    const { OpenAIInstrumentation } = await import('@arizeai/openinference-instrumentation-openai');
    const { OpenAI } = await import('openai');
    const provider = register({ projectName: 'support', url, apiKey: 'any', batch: false });
    const instrumentation = new OpenAIInstrumentation();
    instrumentation.setTracerProvider(provider);
    instrumentation.manuallyInstrument(OpenAI);
    const server = await stub([{ role: 'assistant', content: said }]);
    const client = new OpenAI({ apiKey: 'any', baseURL: `http://127.0.0.1:${server.address().port}/v1` });
    let trace;
    await provider.getTracer('refunds').startActiveSpan('refund-agent', { attributes: { 'openinference.span.kind': 'AGENT', 'session.id': 'ticket-9421' } }, async (root) => {
      trace = root.spanContext().traceId;
      await client.chat.completions.create({ model: 'gpt-4o-mini', messages: [{ role: 'user', content: said }] });
      root.end();
    });
    await provider.forceFlush();
    server.close();
    return { trace };
  },
};

const done = await clients[what]();
console.log(JSON.stringify(done));
process.exit(0);
