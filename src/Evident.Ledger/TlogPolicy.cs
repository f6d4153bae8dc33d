using System.Globalization;
using System.Text;

namespace Evident.Ledger;

/// <summary>One witness of a policy: its name in the policy and its key.</summary>
public sealed record PolicyWitness(string Name, CosignerKey Key);

/// <summary>
/// C2SP tlog-policy: which logs' keys are trusted, and which witnesses' cosignatures are enough. Names are octets (shown as ISO 8859-1), URLs are read over.
/// Limits: 64 KiB, 128 logs, 128 witnesses, 128 groups.
/// </summary>
public sealed class TlogPolicy
{
    public const int MaxBytes = 65_536;
    public const int MaxOfAKind = 128;

    private readonly List<Node> nodes;
    private readonly int quorum; // index in nodes; -1 for "none"

    internal TlogPolicy(IReadOnlyList<NoteKey> logs, IReadOnlyList<PolicyWitness> witnesses, List<Node> nodes, int quorum)
    {
        Logs = logs;
        Witnesses = witnesses;
        this.nodes = nodes;
        this.quorum = quorum;
    }

    /// <summary>A name that a quorum can ask for: a witness (its index), or a group that needs <paramref name="Least"/> of its members, all defined before it.</summary>
    internal sealed record Node(int Witness, int Least, int[] Members);

    public IReadOnlyList<NoteKey> Logs { get; }

    public IReadOnlyList<PolicyWitness> Witnesses { get; }

    /// <summary>False for <c>quorum none</c>: the policy pins keys and asks for no cosignature.</summary>
    public bool HasQuorum => quorum >= 0;

    /// <summary>A list with one place for each of <see cref="Witnesses"/>: the time of its cosignature, or -1 when there is none.</summary>
    public long[] NoCosignatures()
    {
        long[] times = new long[Witnesses.Count];
        times.AsSpan().Fill(-1);
        return times;
    }

    /// <summary>True when the quorum is satisfied by the witnesses that have a time.</summary>
    public bool IsSatisfiedBy(long[] times)
    {
        bool[] reached = new bool[nodes.Count];
        for (int i = 0; i < nodes.Count; i++)
        {
            var node = nodes[i];
            int count = 0;
            foreach (int member in node.Members)
            {
                count += reached[member] ? 1 : 0;
            }

            reached[i] = node.Witness >= 0 ? times[node.Witness] >= 0 : count >= node.Least;
        }

        return HasQuorum && reached[quorum];
    }

    /// <summary>
    /// The valid cosignatures of known witnesses under a checkpoint note. False, and nothing is taken, when one that names a known witness's key is invalid: that
    /// rejects the note.
    /// </summary>
    /// <param name="note">A checkpoint note.</param>
    /// <param name="times">Gets the time of each witness that cosigned, the later one where there is one already.</param>
    /// <param name="invalid">The witness whose cosignature is invalid, or null.</param>
    public bool Read(SignedNote note, long[] times, out PolicyWitness? invalid)
    {
        long[] found = NoCosignatures();
        foreach (var signature in note.Signatures)
        {
            for (int i = 0; i < Witnesses.Count; i++)
            {
                if (Witnesses[i].Key.Matches(signature))
                {
                    if (!Witnesses[i].Key.Verifies(signature, note.Text, out long time))
                    {
                        invalid = Witnesses[i];
                        return false;
                    }

                    found[i] = Math.Max(found[i], time);
                }
            }
        }

        for (int i = 0; i < found.Length; i++)
        {
            times[i] = Math.Max(times[i], found[i]);
        }

        invalid = null;
        return true;
    }

    /// <summary>False with one sentence that names the line.</summary>
    public static bool TryParse(ReadOnlySpan<byte> file, out TlogPolicy policy, out string failure) => new TlogPolicyParser().TryParse(file, out policy, out failure);
}

/// <summary>Reads a policy line by line; what is not exactly what the specification allows is refused, because a policy that is half understood protects nobody.</summary>
internal sealed class TlogPolicyParser
{
    private readonly List<NoteKey> logs = [];
    private readonly List<PolicyWitness> witnesses = [];
    private readonly List<TlogPolicy.Node> nodes = [];
    private readonly Dictionary<string, int> names = new(StringComparer.Ordinal);
    private readonly HashSet<string> members = new(StringComparer.Ordinal);
    private int groups;
    private int? quorum;

    public bool TryParse(ReadOnlySpan<byte> file, out TlogPolicy policy, out string failure)
    {
        policy = null!;
        if (file.Length > TlogPolicy.MaxBytes)
        {
            failure = $"it is longer than {TlogPolicy.MaxBytes} bytes.";
            return false;
        }

        int number = 0;
        while (!file.IsEmpty)
        {
            number++;
            int end = file.IndexOf((byte)'\n');
            string? flaw = end < 0 ? "does not end in a line feed; the file may be cut short" : Line(file[..end]);
            if (flaw is not null)
            {
                failure = string.Create(CultureInfo.InvariantCulture, $"line {number} {flaw}.");
                return false;
            }

            file = file[(end + 1)..];
        }

        if (quorum is null || logs.Count == 0)
        {
            failure = quorum is null ? "it has no 'quorum' line." : "it has no 'log' line: it must name the key of the ledger that you mean.";
            return false;
        }

        policy = new TlogPolicy(logs, witnesses, nodes, quorum.Value);
        failure = "";
        return true;
    }

    /// <summary>Null, or what is wrong with the line.</summary>
    private string? Line(ReadOnlySpan<byte> line)
    {
        foreach (byte octet in line)
        {
            if (octet is < 0x20 and not (byte)'\t' or 0x7F)
            {
                return string.Create(CultureInfo.InvariantCulture, $"holds the octet 0x{octet:X2}, which a policy may not");
            }
        }

        string[] items = Encoding.Latin1.GetString(line).Split([' ', '\t'], StringSplitOptions.RemoveEmptyEntries);
        if (items.Length == 0 || items[0].StartsWith('#'))
        {
            return null;
        }

        return items[0] switch
        {
            "log" => Log(items),
            "witness" => Witness(items),
            "group" => Group(items),
            "quorum" => Quorum(items),
            _ => "begins with none of log, witness, group, quorum and '#'",
        };
    }

    private string? Log(string[] items)
    {
        if (items.Length is not (2 or 3))
        {
            return "is not 'log VKEY [URL]'";
        }

        if (NoteKey.ParseVerifierKey(Utf8(items[1])) is not { } key)
        {
            return CosignerKey.ParseVerifierKey(Utf8(items[1])) is null
                ? "has no verifier key of a log (Ed25519, signature type 1, key id and base64 as they must be)"
                : "has a witness's key (signature type 4) where a log's key (type 1) is needed";
        }

        foreach (var other in logs)
        {
            if (other.PublicKey.AsSpan().SequenceEqual(key.PublicKey) || (other.Name == key.Name && other.KeyId.AsSpan().SequenceEqual(key.KeyId)))
            {
                return "names a log's key that an earlier line names";
            }
        }

        logs.Add(key);
        return logs.Count > TlogPolicy.MaxOfAKind ? $"is log {logs.Count}; at most {TlogPolicy.MaxOfAKind} are taken" : null;
    }

    private string? Witness(string[] items)
    {
        if (items.Length is not (3 or 4))
        {
            return "is not 'witness NAME VKEY [URL]'";
        }

        if (CosignerKey.ParseVerifierKey(Utf8(items[2])) is not { } key)
        {
            return NoteKey.ParseVerifierKey(Utf8(items[2])) is null
                ? "has no verifier key of a witness (Ed25519 cosignatures, signature type 4, key id and base64 as they must be)"
                : "has a log's key (signature type 1) where a witness's key (type 4) is needed";
        }

        foreach (var other in witnesses)
        {
            if (other.Key.PublicKey.AsSpan().SequenceEqual(key.PublicKey) || (other.Key.Name == key.Name && other.Key.KeyId.AsSpan().SequenceEqual(key.KeyId)))
            {
                return "names a witness's key that an earlier line names: one key is one witness";
            }
        }

        witnesses.Add(new PolicyWitness(items[1], key));
        return witnesses.Count > TlogPolicy.MaxOfAKind ? $"is witness {witnesses.Count}; at most {TlogPolicy.MaxOfAKind} are taken"
            : Define(items[1], new TlogPolicy.Node(witnesses.Count - 1, 0, []));
    }

    private string? Group(string[] items)
    {
        if (items.Length < 4)
        {
            return "is not 'group NAME all|any|K MEMBER...' with one member or more";
        }

        int[] found = new int[items.Length - 3];
        for (int i = 0; i < found.Length; i++)
        {
            if (!names.TryGetValue(items[i + 3], out found[i]))
            {
                return $"has the member '{Shown(items[i + 3])}', which no line above defines";
            }

            if (!members.Add(items[i + 3]))
            {
                return $"has the member '{Shown(items[i + 3])}', which is a member already: a name counts in one group only";
            }
        }

        int least = found.Length;
        if (items[2] == "any")
        {
            least = 1;
        }
        else if (items[2] != "all")
        {
            if (!ProofLines.TryDecimal(Encoding.Latin1.GetBytes(items[2]), out long k) || k < 1 || k > found.Length)
            {
                return $"asks for '{Shown(items[2])}' members; it is all, any, or a number from 1 to {found.Length}";
            }

            least = (int)k;
        }

        groups++;
        return groups > TlogPolicy.MaxOfAKind ? $"is group {groups}; at most {TlogPolicy.MaxOfAKind} are taken" : Define(items[1], new TlogPolicy.Node(-1, least, found));
    }

    private string? Quorum(string[] items)
    {
        if (items.Length != 2)
        {
            return "is not 'quorum NAME' or 'quorum none'";
        }

        if (quorum is not null)
        {
            return "is a second 'quorum'";
        }

        if (items[1] != "none" && !names.ContainsKey(items[1]))
        {
            return $"asks for '{Shown(items[1])}', which no line above defines";
        }

        quorum = items[1] == "none" ? -1 : names[items[1]];
        return null;
    }

    private string? Define(string name, TlogPolicy.Node node)
    {
        if (name == "none" || !names.TryAdd(name, nodes.Count))
        {
            return name == "none" ? "defines 'none', which is no name to give" : $"defines '{Shown(name)}' again";
        }

        nodes.Add(node);
        return null;
    }

    /// <summary>Keys are UTF-8 text; what is not becomes U+FFFD here and then fits no key id.</summary>
    private static string Utf8(string octets) => Encoding.UTF8.GetString(Encoding.Latin1.GetBytes(octets));

    /// <summary>A name for a sentence: whatever a terminal would take for an order is left out.</summary>
    private static string Shown(string octets)
    {
        char[] text = Utf8(octets).ToCharArray();
        for (int i = 0; i < text.Length; i++)
        {
            text[i] = char.IsControl(text[i]) ? '?' : text[i];
        }

        return new string(text);
    }
}
