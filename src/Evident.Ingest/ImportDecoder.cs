namespace Evident.Ingest;

/// <summary>What a piece of an imported file is.</summary>
public enum ImportKind : byte { OtlpJson, OtlpJsonLogs, OtlpProto, OtlpProtoLogs, Events }

/// <summary>The decoders of the network doors, for pieces of files. Pure.</summary>
public static class ImportDecoder
{
    /// <summary>The attribute of an exported span that holds its encoding in base64.</summary>
    public const string CarriedKey = "evident.span";

    private static readonly string[] Names = ["otlp-json", "otlp-json-logs", "otlp-proto", "otlp-proto-logs", "events"];

    /// <summary>The name that commands, control socket and ledger use.</summary>
    public static string NameOf(ImportKind kind) => Names[(int)kind];

    public static bool TryParse(string? name, out ImportKind kind)
    {
        int at = Array.IndexOf(Names, name);
        kind = (ImportKind)Math.Max(at, 0);
        return at >= 0;
    }

    /// <param name="refused">Receives the events that are refused, when the piece holds events.</param>
    /// <exception cref="OtlpDecodeException">The piece is not what its kind says; nothing of it is kept.</exception>
    public static void Decode(ImportKind kind, ReadOnlySpan<byte> piece, IngestLimits limits, SpanBatch into, List<RefusedEvent> refused)
    {
        switch (kind)
        {
            case ImportKind.OtlpJson: OtlpJsonDecoder.Decode(piece, limits, into); break;
            case ImportKind.OtlpJsonLogs: OtlpLogDecoder.DecodeJson(piece, limits, into); break;
            case ImportKind.OtlpProto: OtlpTraceDecoder.Decode(piece, limits, into); break;
            case ImportKind.OtlpProtoLogs: OtlpLogDecoder.Decode(piece, limits, into); break;
            default: EventDecoder.Decode(piece, limits, into, refused); break;
        }
    }
}
