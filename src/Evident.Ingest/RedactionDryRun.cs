using System.Globalization;
using System.Text;
using System.Text.Unicode;

namespace Evident.Ingest;

/// <summary>A finding and where it stands; the place never holds a secret itself.</summary>
public sealed record PlacedFinding(string Place, RedactionFinding Finding);

/// <summary>What redaction would remove from a file, and by which rule. Pure.</summary>
/// <param name="Format">What the file was taken for: <c>otlp-protobuf</c>, <c>otlp-json</c>, <c>json-lines</c> or <c>text</c>.</param>
/// <param name="Findings">In the order of the file.</param>
public sealed record RedactionDryRun(string Format, IReadOnlyList<PlacedFinding> Findings)
{
    /// <summary>Reads a file by what it holds and applies the rules to every text in it.</summary>
    /// <param name="file">At most 64 MiB.</param>
    /// <param name="redactor">Of the tenant in question.</param>
    public static RedactionDryRun Of(ReadOnlySpan<byte> file, Redactor redactor)
    {
        ArgumentNullException.ThrowIfNull(redactor);
        var walk = new Walk(redactor);
        bool text = Utf8.IsValid(file) && !file.Contains((byte)0);
        if (file.StartsWith("\uFEFF"u8)) file = file[3..];
        if (IsOtlpJson(file) && walk.TryOtlp(file, json: true)) return new RedactionDryRun("otlp-json", walk.Findings);
        if (file.Length > 0 && file[0] == 0x0A && walk.TryOtlp(file, json: false)) return new RedactionDryRun("otlp-protobuf", walk.Findings);
        if (!text && walk.TryOtlp(file, json: false)) return new RedactionDryRun("otlp-protobuf", walk.Findings);
        return new RedactionDryRun(walk.Lines(file) ? "json-lines" : "text", walk.Findings);
    }

    private static bool IsOtlpJson(ReadOnlySpan<byte> text)
    {
        text = text.Trim(" \t\r\n"u8);
        return text is [(byte)'{', .., (byte)'}'] && (text.IndexOf("\"resourceSpans\""u8) >= 0 || text.IndexOf("\"resource_spans\""u8) >= 0);
    }

    private sealed class Walk(Redactor redactor)
    {
        private readonly RedactionTally tally = new(redactor.Rules, keepsFindings: true);
        private string span = "";

        internal List<PlacedFinding> Findings { get; } = [];

        /// <summary>False, with nothing found, when the bytes are no such request.</summary>
        internal bool TryOtlp(ReadOnlySpan<byte> body, bool json, string line = "")
        {
            using var batch = SpanBatch.Rent();
            try
            {
                if (json) OtlpJsonDecoder.Decode(body, new IngestLimits(), batch);
                else OtlpTraceDecoder.Decode(body, new IngestLimits(), batch);
            }
            catch (OtlpDecodeException)
            {
                return false;
            }
            if (batch.SpanCount == 0) return false;
            int resource = -1, scope = -1;
            foreach (ref readonly var one in batch.Spans)
            {
                if (one.Resource != resource) Origin(batch, batch.Resource(resource = one.Resource), line + "resource");
                if (one.Instrumentation != scope) Origin(batch, batch.Instrumentation(scope = one.Instrumentation), line + "scope");
                span = line + "span " + one.Span;
                Text(batch.Bytes(one.Name), span + " name");
                Text(batch.Bytes(one.TraceState), span + " tracestate");
                Text(batch.Bytes(one.StatusMessage), span + " status message");
                Attributes(batch, one.Attributes, span + " attribute ");
                int index = 0;
                foreach (ref readonly var e in batch.Events(one.Events))
                {
                    string place = string.Create(CultureInfo.InvariantCulture, $"{span} event {index++} ");
                    Text(batch.Bytes(e.Name), place + "name");
                    Attributes(batch, e.Attributes, place + "attribute ");
                }
                index = 0;
                foreach (ref readonly var link in batch.Links(one.Links))
                {
                    string place = string.Create(CultureInfo.InvariantCulture, $"{span} link {index++} ");
                    Text(batch.Bytes(link.TraceState), place + "tracestate");
                    Attributes(batch, link.Attributes, place + "attribute ");
                }
            }
            return true;
        }

        private void Origin(SpanBatch batch, in DirtyOrigin origin, string place)
        {
            Text(batch.Bytes(origin.Name), place + " name");
            Text(batch.Bytes(origin.Version), place + " version");
            Attributes(batch, origin.Attributes, place + " attribute ");
        }

        private void Attributes(SpanBatch batch, RecordRange range, string place)
        {
            foreach (ref readonly var attribute in batch.Attributes(range))
            {
                var key = batch.Bytes(attribute.Key);
                string name = redactor.Redact(Encoding.UTF8.GetString(key));
                Text(key, place + name + " (key)");
                var value = batch.Bytes(attribute.Text);
                var verdict = redactor.Index.Names.Judge(key);
                bool secret = verdict == NameVerdict.Secret || (verdict == NameVerdict.Perhaps && SecretNames.LooksGenerated(value));
                if (secret && redactor.Index.On[(int)CodeRule.NamedSecret] && attribute.Kind is ValueKind.Text && !value.IsEmpty)
                {
                    tally.Add((int)CodeRule.NamedSecret, value);
                    Report(place + name);
                }
                else if (attribute.Kind is ValueKind.Text or ValueKind.Json or ValueKind.Bytes)
                {
                    Text(value, place + name);
                }
            }
        }

        /// <summary>True when every line that is not empty is a JSON object.</summary>
        internal bool Lines(ReadOnlySpan<byte> text)
        {
            bool json = true, any = false;
            int line = 0;
            while (!text.IsEmpty)
            {
                int length = LengthOfChunk(text), first = line + 1;
                var chunk = text[..length];
                text = text[length..];
                line += chunk.Count((byte)'\n');
                if (chunk.Length > 0 && chunk[^1] != (byte)'\n') line++;
                chunk = chunk.TrimEnd("\r\n"u8);
                if (chunk.IsEmpty) continue;
                any = true;
                bool isObject = chunk is [(byte)'{', .., (byte)'}'];
                json &= isObject;
                string place = string.Create(CultureInfo.InvariantCulture, $"line {first}");
                if (!(isObject && IsOtlpJson(chunk) && TryOtlp(chunk, json: true, place + " "))) Text(chunk, place);
            }
            return json && any;
        }

        // A line; a private key is looked at as a whole.
        private static int LengthOfChunk(ReadOnlySpan<byte> text)
        {
            int end = text.IndexOf((byte)'\n') + 1;
            if (end == 0) return text.Length;
            int begin = text[..end].IndexOf("-----BEGIN "u8);
            if (begin < 0 || text[begin..end].IndexOf("-----END "u8) >= 0) return end;
            int close = text.IndexOf("-----END "u8);
            if (close < 0) return end;
            int after = text[close..].IndexOf((byte)'\n');
            return after < 0 ? text.Length : close + after + 1;
        }

        private void Text(ReadOnlySpan<byte> text, string place)
        {
            if (text.Length < 3) return;
            redactor.Redact(text, tally);
            Report(place);
        }

        private void Report(string place)
        {
            foreach (var finding in tally.Findings) Findings.Add(new PlacedFinding(place, finding));
            tally.Clear();
        }
    }
}
