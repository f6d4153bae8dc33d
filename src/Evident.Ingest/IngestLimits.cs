namespace Evident.Ingest;

/// <summary>
/// Everything a sender controls has a limit here, and each limit is a configuration value of the section <c>Ingest</c>
/// under the same name (<c>ingest.maxSpans</c> …). A request beyond <see cref="MaxBodyBytes"/> or <see cref="MaxDepth"/>
/// is undecodable; a span beyond another limit is rejected alone, with the limit's configuration name in the reason.
/// </summary>
public sealed class IngestLimits
{
    /// <summary>Bytes of one request after inflation.</summary>
    public int MaxBodyBytes { get; init; } = 64 << 20;

    /// <summary>Bytes that decoding one request may add to the body: unescaped, repaired and re-rendered text.</summary>
    public int MaxTranscodedBytes { get; init; } = 128 << 20;

    /// <summary>Spans of one request; further ones are rejected.</summary>
    public int MaxSpans { get; init; } = 20_000;

    /// <summary>Attributes, events and links of one request together; a span that would pass it is rejected.</summary>
    public int MaxRecords { get; init; } = 2_000_000;

    /// <summary>Attributes of one span, event, link, resource or instrumentation scope; further ones are dropped and counted.</summary>
    public int MaxAttributesPerSpan { get; init; } = 512;

    /// <summary>Events of one span; further ones are dropped and counted.</summary>
    public int MaxEventsPerSpan { get; init; } = 512;

    /// <summary>Links of one span; further ones are dropped and counted.</summary>
    public int MaxLinksPerSpan { get; init; } = 512;

    /// <summary>Nesting of array and key-value-list values, and of protobuf groups; deeper input is undecodable.</summary>
    public int MaxDepth { get; init; } = 32;

    /// <summary>UTF-8 bytes of one attribute key.</summary>
    public int MaxKeyBytes { get; init; } = 256;

    /// <summary>Bytes of one attribute value, arrays and lists in their JSON form.</summary>
    public int MaxValueBytes { get; init; } = 4 << 20;

    /// <summary>UTF-8 bytes of a span, event or instrumentation scope name, of a tracestate, of a scope version.</summary>
    public int MaxNameBytes { get; init; } = 1024;
}
