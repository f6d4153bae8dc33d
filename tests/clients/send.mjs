// Sends one agent run with a real OTLP exporter and prints what it sent as one line of JSON.
// Usage: node send.mjs ENDPOINT grpc|proto|http none|gzip BATCH-SIZE PAYLOAD-TEXT
import { context, SpanKind, SpanStatusCode, trace } from '@opentelemetry/api';
import { OTLPTraceExporter as GrpcExporter } from '@opentelemetry/exporter-trace-otlp-grpc';
import { OTLPTraceExporter as HttpExporter } from '@opentelemetry/exporter-trace-otlp-http';
import { OTLPTraceExporter as ProtoExporter } from '@opentelemetry/exporter-trace-otlp-proto';
import { resourceFromAttributes } from '@opentelemetry/resources';
import { BatchSpanProcessor, NodeTracerProvider, SimpleSpanProcessor } from '@opentelemetry/sdk-trace-node';

const [endpoint, encoding, compression, batch, text] = process.argv.slice(2);
const exporter = encoding === 'grpc'
  ? new GrpcExporter({ url: endpoint, compression })
  : new (encoding === 'proto' ? ProtoExporter : HttpExporter)({ url: `${endpoint}/v1/traces`, compression });

const results = [];
const watched = {
  export: (spans, done) => exporter.export(spans, (result) => {
    results.push({ code: result.code, error: result.error?.message ?? null, spans: spans.length });
    done(result);
  }),
  forceFlush: () => exporter.forceFlush(),
  shutdown: () => exporter.shutdown(),
};
const provider = new NodeTracerProvider({
  resource: resourceFromAttributes({ 'service.name': 'npm-client', 'service.version': '7.1.0', 'deployment.environment.name': 'staging' }),
  spanProcessors: [Number(batch) > 1 ? new BatchSpanProcessor(watched, { maxExportBatchSize: Number(batch) }) : new SimpleSpanProcessor(watched)],
});
provider.register();
const tracer = provider.getTracer('npm-agent', '1.4.2');

const runId = `run_npm_${encoding}_${compression}_${Date.now().toString(36)}`;
const root = tracer.startSpan('invoke_agent refund-agent', {
  attributes: {
    'gen_ai.operation.name': 'invoke_agent', 'gen_ai.agent.name': 'refund-agent', 'gen_ai.conversation.id': `ticket-${encoding}-${compression}`,
    'agent.run_id': runId, 'agent.workflow_id': 'npm_refund_v3', 'agent.outcome': 'success',
  },
});
const inside = trace.setSpan(context.active(), root);
const chat = tracer.startSpan('chat gpt-4o-mini', {
  kind: SpanKind.CLIENT,
  attributes: {
    'gen_ai.operation.name': 'chat', 'gen_ai.provider.name': 'openai', 'gen_ai.request.model': 'gpt-4o-mini', 'gen_ai.response.model': 'gpt-4o-mini-2024-07-18',
    'gen_ai.usage.input_tokens': 321, 'gen_ai.usage.output_tokens': 45, 'gen_ai.response.finish_reasons': ['stop'],
    'gen_ai.input.messages': JSON.stringify([{ role: 'user', parts: [{ type: 'text', content: text }] }]),
    'gen_ai.output.messages': JSON.stringify([{ role: 'assistant', parts: [{ type: 'text', content: `I will look into: ${text}` }] }]),
  },
}, inside);
chat.addEvent('gen_ai.client.inference.operation.details', { 'gen_ai.system_instructions': `Be kind. ${text}` });
chat.end();
const tool = tracer.startSpan('execute_tool search_orders', {
  attributes: {
    'gen_ai.operation.name': 'execute_tool', 'gen_ai.tool.name': 'search_orders', 'gen_ai.tool.call.id': 'call_0001', 'tool.side_effect_level': 'read',
    'gen_ai.tool.call.arguments': JSON.stringify({ query: text }), 'gen_ai.tool.call.result': JSON.stringify({ rows: [text] }),
  },
}, inside);
tool.recordException(new Error(`the index said: ${text}`));
tool.setStatus({ code: SpanStatusCode.ERROR, message: text });
tool.end();
root.end();
await provider.forceFlush();
await provider.shutdown();
process.stdout.write(`${JSON.stringify({ runId, traceId: root.spanContext().traceId, root: root.spanContext().spanId, chat: chat.spanContext().spanId, tool: tool.spanContext().spanId, results })}\n`);
