using System.Diagnostics;
using System.Globalization;
using System.Text;
using Evident.Ledger;
using Evident.Vault;
using static Evident.Tests.Ledger.EvidenceParts;

namespace Evident.Tests.Ledger;

/// <summary>
/// Good inputs are changed again and again: no parser may fail otherwise than by refusing, take long or much memory, and what it takes must be what
/// it would write. EVIDENT_FUZZ_SECONDS gives each parser that long (default: 4,000 changes of each sample), EVIDENT_SEED repeats a run.
/// </summary>
public class ParserFuzzTests
{
    private const long MaxBytesPerInput = 16 << 20;

    private static readonly byte[][] Leaves = [Merkle.Leaf("{\"seq\":0}"u8), Merkle.Leaf("{\"seq\":1}"u8), Merkle.Leaf("{\"seq\":2}"u8)];

    private static readonly Dictionary<string, (byte[][] Samples, Func<byte[], byte[]?> Encode)> Parsers = Make();

    public static TheoryData<string> Names => [.. Parsers.Keys];

    [Theory]
    [MemberData(nameof(Names))]
    public void Changed_inputs_are_refused_or_are_what_would_be_written(string name)
    {
        var (samples, encode) = Parsers[name];
        int seconds = Number("EVIDENT_FUZZ_SECONDS", 0), seed = Number("EVIDENT_SEED", 41);
        var random = new Random(seed);
        var watch = Stopwatch.StartNew();
        int taken = 0;
        foreach (byte[] sample in samples)
        {
            Assert.Equal(sample, encode(sample));
        }

        for (long round = 0; seconds > 0 ? watch.Elapsed.TotalSeconds < seconds : round < 4_000 * samples.Length; round++)
        {
            byte[] changed = Change(random, samples[round % samples.Length], samples[random.Next(samples.Length)]);
            long before = GC.GetAllocatedBytesForCurrentThread();
            byte[]? again = encode(changed);
            Assert.InRange(GC.GetAllocatedBytesForCurrentThread() - before, 0, MaxBytesPerInput);
            if (again is not null)
            {
                taken++;
                Assert.Equal(changed, again);
            }
        }

        Assert.True(taken > 0, "nothing changed was ever taken: the samples are not what the parser reads");
    }

    private static int Number(string name, int otherwise) =>
        Environment.GetEnvironmentVariable(name) is { Length: > 0 } text ? int.Parse(text, CultureInfo.InvariantCulture) : otherwise;

    private static Dictionary<string, (byte[][] Samples, Func<byte[], byte[]?> Encode)> Make()
    {
        var parser = new Lj1Parser();
        byte[] proof = new TlogProof(1, Merkle.InclusionPath(1, 3, Subtree), Parse(Note)).Encode(), extra = new TlogProof(0, [], Parse(Note), [1, 2, 3, 4]).Encode();
        byte[] request = new AddCheckpoint(1, Merkle.ConsistencyPath(1, 3, Subtree), Parse(Note)).Encode(), first = new AddCheckpoint(0, [], Parse(Note)).Encode();
        byte[] policy = Bytes($"log {LogVkey}\nwitness a {WitnessVkey} u\nwitness b {Another("b")}\nwitness c {Another("c")}\ngroup g 2 a b c\n# x\nquorum g\n");
        byte[][] lines = [LedgerScratch.Call(1, new string('a', 32)).Bytes.ToArray(), LedgerScratch.Short(2).Bytes.ToArray(), Bytes("""{"a":[1,-2,true,"\u0001\n\"é"],"b":{"c":false}}""")];
        byte[] key = [.. Enumerable.Range(0, 32).Select(i => (byte)i)], plain = [.. Enumerable.Range(0, 20_000).Select(i => (byte)(i % 251))];
        byte[] sealedBytes = new byte[(int)ChunkedEncryption.SealedLength(plain.Length)];
        ChunkedEncryption.Seal(sealedBytes, plain, key, key.AsSpan(0, 24), "ctx"u8);
        return new()
        {
            ["note"] = ([Bytes(Note)], bytes => SignedNote.TryParse(bytes, out var note, out _) ? note.Encode() : null),
            ["checkpoint line"] = ([CheckpointLine.Encode(OneSignature())], bytes => CheckpointLine.TryParse(bytes, parser, out var note, out _) ? CheckpointLine.Encode(note.Encode()) : null),
            ["proof"] = ([proof, extra], bytes => TlogProof.TryParse(bytes, out var read, out _) ? read.Encode() : null),
            ["request"] = ([request, first], bytes => AddCheckpoint.TryParse(bytes, out var read, out _) ? read.Encode() : null),
            ["verifier key"] = ([Bytes(WitnessVkey), Bytes(LogVkey)], bytes =>
                CosignerKey.ParseVerifierKey(Encoding.UTF8.GetString(bytes)) is { } witness ? Bytes(witness.ToVerifierKey())
                : NoteKey.ParseVerifierKey(Encoding.UTF8.GetString(bytes)) is { } log ? Bytes(log.ToVerifierKey()) : null),
            ["head as text"] = ([Bytes(HeadText.Encode(new Checkpoint("ledger.example/test", 3, Merkle.Root(Leaves))))],
                bytes => HeadText.TryParse(bytes, out var read, out _) ? Bytes(HeadText.Encode(read)) : null),
            ["policy"] = ([policy], Read),
            ["LJ-1"] = (lines, bytes => parser.Parse(bytes) == Lj1Error.None ? Rebuilt(bytes, parser) : null),
            ["chunked encryption"] = ([sealedBytes, sealedBytes[..^4_000]], bytes => Opens(bytes, key, plain.Length) ? sealedBytes : bytes), // only the one opens
        };
    }

    private static byte[] Subtree(long start, long end) => Merkle.Root(Leaves[(int)start..(int)end]);

    private static string Another(string name)
    {
        using var key = Cosigner(name, name[0]);
        return key.Public.ToVerifierKey();
    }

    private static byte[]? Read(byte[] policy)
    {
        if (!TlogPolicy.TryParse(policy, out var read, out string failure))
        {
            Assert.NotEmpty(failure);
            return null;
        }

        _ = read.IsSatisfiedBy(read.NoCosignatures());
        return policy; // it has no one form
    }

    private static bool Opens(byte[] sealedBytes, byte[] key, int plain) => ChunkedEncryption.TryOpen(new byte[plain], sealedBytes, key, "ctx"u8);

    private static byte[] OneSignature()
    {
        var note = Parse(Note);
        return SignedNote.Encode(note.Text, [note.Signatures[0]]);
    }

    /// <summary>The object as the builder writes it again from what the parser laid out.</summary>
    private static byte[] Rebuilt(byte[] line, Lj1Parser parser)
    {
        var text = new StringBuilder();
        Rebuild(line, parser.Nodes, 0, text);
        return Encoding.UTF8.GetBytes(text.ToString());
    }

    private static void Rebuild(byte[] line, ReadOnlySpan<Lj1Node> nodes, int index, StringBuilder text)
    {
        var node = nodes[index];
        switch (node.Kind)
        {
            case Lj1Kind.Object or Lj1Kind.Array:
                text.Append(node.Kind == Lj1Kind.Object ? '{' : '[');
                for (int i = index + 1; i < node.Next; i = nodes[i].Next)
                {
                    text.Append(i == index + 1 ? "" : ",");
                    if (node.Kind == Lj1Kind.Object)
                    {
                        text.Append('"').Append(Encoding.ASCII.GetString(line, nodes[i].KeyStart, nodes[i].KeyLength)).Append("\":");
                    }

                    Rebuild(line, nodes, i, text);
                }

                text.Append(node.Kind == Lj1Kind.Object ? '}' : ']');
                break;
            case Lj1Kind.String:
                text.Append(Encoding.UTF8.GetString(Lj1Text.Encode("k", Encoding.UTF8.GetString(Lj1Text.Decode(line.AsSpan(node.Start, node.Length))))));
                break;
            case Lj1Kind.Integer:
                text.Append(node.Integer.ToString(CultureInfo.InvariantCulture));
                break;
            default:
                text.Append(node.Kind == Lj1Kind.True ? "true" : "false");
                break;
        }
    }
}
