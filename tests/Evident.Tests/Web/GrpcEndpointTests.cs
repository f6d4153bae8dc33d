using System.Buffers.Binary;
using System.IO.Compression;
using System.Net;
using System.Net.Http.Headers;
using System.Text;
using Evident.Ingest;
using Evident.Tests.Ingest;
using Google.Protobuf;

namespace Evident.Tests.Web;

/// <summary>The unary call of OTLP/gRPC against the real listener: frames, encodings, statuses, trailers (ingest-protocols 4).</summary>
public sealed class GrpcEndpointTests : IAsyncLifetime
{
    private const string Export = "/opentelemetry.proto.collector.trace.v1.TraceService/Export", Grpc = "application/grpc";
    private const int Limit = 100_000;

    private RunningWeb web = null!;
    private HttpClient client = null!;

    public async Task InitializeAsync()
    {
        web = await RunningWeb.StartAsync(new IngestLimits { MaxBodyBytes = Limit, MaxSpans = 5 });
        client = new HttpClient { BaseAddress = new Uri(web.GrpcUrl) };
    }

    public async Task DisposeAsync()
    {
        client.Dispose();
        await web.DisposeAsync();
    }

    [Theory]
    [InlineData(null, false, Grpc)]
    [InlineData("identity", false, "application/grpc+proto")]
    [InlineData("gzip", true, Grpc)]
    [InlineData("deflate", true, Grpc)]
    [InlineData("gzip", false, Grpc)] // an encoding is announced, and this message does without
    public async Task A_stored_request_ends_with_status_0(string? encoding, bool compressed, string type)
    {
        byte[] message = Message(1);
        var (status, _, reply) = await CallAsync(Frame(compressed ? Packed(message, encoding!) : message, compressed), encoding, type);
        Assert.Equal((0, "0000000000"), (status, Convert.ToHexString(reply)));
        Assert.Equal(1, web.Store.Counters.AcceptedSpans);
    }

    [Fact]
    public async Task An_empty_request_is_full_success() => Assert.Equal(0, (await CallAsync(Frame([], false))).Status);

    [Fact]
    public async Task Spans_that_are_refused_are_told_in_the_message()
    {
        var (status, _, reply) = await CallAsync(Frame(OtlpRequest.Of(new OtlpSpan("whole"), new OtlpSpan("no id") { Id = new byte[8] }).Protobuf(), false));
        Assert.Equal((0, 0, reply.Length - 5), (status, reply[0], (int)BinaryPrimitives.ReadUInt32BigEndian(reply.AsSpan(1))));
        var response = new CodedInputStream(reply, 5, reply.Length - 5);
        Assert.Equal(WireFormat.MakeTag(1, WireFormat.WireType.LengthDelimited), response.ReadTag()); // partial_success
        var partial = new CodedInputStream(response.ReadBytes().ToByteArray());
        Assert.Equal((WireFormat.MakeTag(1, WireFormat.WireType.Varint), 1), (partial.ReadTag(), partial.ReadInt64())); // rejected_spans
        Assert.Equal(WireFormat.MakeTag(2, WireFormat.WireType.LengthDelimited), partial.ReadTag()); // error_message
        Assert.NotEmpty(partial.ReadString());
        Assert.True(response.IsAtEnd && partial.IsAtEnd);
        Assert.Equal(1, web.Store.Counters.AcceptedSpans);
    }

    [Fact]
    public async Task What_is_no_request_has_its_status_and_the_server_goes_on()
    {
        byte[] message = Message(1);
        Assert.Equal(3, (await CallAsync([])).Status); // no frame
        Assert.Equal(3, (await CallAsync([0, 0, 0])).Status); // half of one
        Assert.Equal(3, (await CallAsync(Frame(message, false)[..^1])).Status); // cut off
        Assert.Equal(3, (await CallAsync([.. Frame(message, false), 0])).Status); // more than one message
        Assert.Equal(3, (await CallAsync([.. Frame(message, false), .. Frame(message, false)])).Status);
        Assert.Equal(3, (await CallAsync(Frame([0xff, 0xff, 0xff], false))).Status); // not protobuf
        Assert.Equal(3, (await CallAsync(Frame(message, compressed: true), "gzip")).Status); // not gzip
        Assert.Equal(3, (await CallAsync(Frame(Packed(message, "gzip")[..^4], compressed: true), "gzip")).Status); // gzip cut off
        Assert.Equal(13, (await CallAsync(Frame(message, compressed: true))).Status); // compressed, but how
        Assert.Equal(13, (await CallAsync([2, .. Frame(message, false)[1..]])).Status);
        Assert.Equal(8, (await CallAsync(Frame(new byte[Limit + 1], false))).Status);
        Assert.Equal(8, (await CallAsync(Frame(Packed(new byte[Limit + 1], "gzip"), compressed: true), "gzip")).Status);
        Assert.Equal(8, (await CallAsync([0, 0xff, 0xff, 0xff, 0xff, 1])).Status); // a length that no request may have
        var (status, headers, _) = await CallAsync(Frame(message, compressed: true), "snappy");
        Assert.Equal((12, "identity,deflate,gzip"), (status, headers.GetValues("grpc-accept-encoding").Single()));
        Assert.Equal(12, (await CallAsync(Frame([], false), path: "/opentelemetry.proto.collector.trace.v1.TraceService/Other")).Status);
        Assert.Equal(12, (await CallAsync(Frame([], false), path: "/opentelemetry.proto.collector.profiles.v1.ProfilesService/Export")).Status);
        Assert.Equal(0, web.Store.Counters.AcceptedSpans);
        Assert.Equal(0, (await CallAsync(Frame(message, false))).Status);
    }

    [Fact]
    public async Task A_stop_is_unavailable_with_the_time_to_wait()
    {
        web.Store.Close();
        var (status, headers, _) = await CallAsync(Frame(Message(1), false));
        Assert.Equal(14, status);
        byte[] details = Convert.FromBase64String(headers.GetValues("grpc-status-details-bin").Single());
        Assert.Equal([8, 14], details[..2]);
        Assert.Contains("type.googleapis.com/google.rpc.RetryInfo", Encoding.ASCII.GetString(details), StringComparison.Ordinal);
        Assert.Equal(new byte[] { 0x0a, 0x02, 0x08, 0x01 }, Convert.FromBase64String(headers.GetValues("google.rpc.retryinfo-bin").Single()));
        Assert.Equal(new byte[] { 0x0a, 0x02, 0x08, 0x01 }, details[^4..]);
    }

    [Fact]
    public async Task Gates_hold_on_its_port_as_on_the_other()
    {
        using (var plain = new HttpRequestMessage(HttpMethod.Post, Export) { Version = HttpVersion.Version20, VersionPolicy = HttpVersionPolicy.RequestVersionExact, Content = new ByteArrayContent([]) })
        {
            plain.Content.Headers.ContentType = new MediaTypeHeaderValue("application/json");
            Assert.Equal(HttpStatusCode.UnsupportedMediaType, (await client.SendAsync(plain)).StatusCode);
        }

        using (var foreign = Request(Frame(Message(1), false), null, Grpc, Export))
        {
            foreign.Headers.Host = "attacker.example";
            Assert.Equal(HttpStatusCode.MisdirectedRequest, (await client.SendAsync(foreign)).StatusCode);
        }

        using (var page = Request(Frame(Message(1), false), null, Grpc, Export))
        {
            page.Headers.Add("Origin", "http://attacker.example");
            Assert.Equal(HttpStatusCode.Forbidden, (await client.SendAsync(page)).StatusCode);
        }

        // The same call over HTTP/1.1 could have no trailers.
        using var old = Request(Frame(Message(1), false), null, Grpc, Export);
        old.Version = HttpVersion.Version11;
        Assert.Equal(HttpStatusCode.UnsupportedMediaType, (await web.Client.SendAsync(old)).StatusCode);
        Assert.Equal(0, web.Store.Counters.AcceptedSpans);
    }

    [Fact]
    public async Task Many_calls_share_a_connection()
    {
        var calls = Enumerable.Range(0, 60).Select(_ => CallAsync(Frame(Message(3), false))).ToList();
        Assert.All(await Task.WhenAll(calls), c => Assert.Equal(0, c.Status));
        Assert.Equal(180, web.Store.Counters.AcceptedSpans);
    }

    private async Task<(int Status, HttpResponseHeaders Headers, byte[] Reply)> CallAsync(byte[] body, string? encoding = null, string type = Grpc, string path = Export)
    {
        using var request = Request(body, encoding, type, path);
        using var response = await client.SendAsync(request);
        byte[] reply = await response.Content.ReadAsByteArrayAsync();
        Assert.Equal((HttpStatusCode.OK, Grpc), (response.StatusCode, response.Content.Headers.ContentType?.MediaType));
        string status = (response.Headers.TryGetValues("grpc-status", out var alone) ? alone : response.TrailingHeaders.GetValues("grpc-status")).Single();
        return (int.Parse(status, null), response.Headers, reply);
    }

    private static HttpRequestMessage Request(byte[] body, string? encoding, string type, string path)
    {
        var request = new HttpRequestMessage(HttpMethod.Post, path) { Version = HttpVersion.Version20, VersionPolicy = HttpVersionPolicy.RequestVersionExact, Content = new ByteArrayContent(body) };
        request.Content.Headers.ContentType = new MediaTypeHeaderValue(type);
        request.Headers.TE.Add(new TransferCodingWithQualityHeaderValue("trailers"));
        if (encoding is not null)
        {
            request.Headers.Add("grpc-encoding", encoding);
        }

        return request;
    }

    private static byte[] Message(int spans) => OtlpRequest.Of([.. Enumerable.Range(0, spans).Select(_ =>
    {
        byte[] trace = new byte[16], id = new byte[8];
        Random.Shared.NextBytes(trace);
        Random.Shared.NextBytes(id);
        return new OtlpSpan("chat") { Trace = trace, Id = id };
    })]).Protobuf();

    private static byte[] Frame(byte[] message, bool compressed)
    {
        byte[] frame = new byte[5 + message.Length];
        frame[0] = compressed ? (byte)1 : (byte)0;
        BinaryPrimitives.WriteUInt32BigEndian(frame.AsSpan(1), (uint)message.Length);
        message.CopyTo(frame, 5);
        return frame;
    }

    private static byte[] Packed(byte[] plain, string encoding)
    {
        using var packed = new MemoryStream();
        using (Stream stream = encoding == "gzip" ? new GZipStream(packed, CompressionLevel.Fastest) : new ZLibStream(packed, CompressionLevel.Fastest))
        {
            stream.Write(plain);
        }

        return packed.ToArray();
    }
}
