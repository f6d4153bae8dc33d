using System.Security.Cryptography;

namespace Evident.Ledger;

/// <summary>
/// What the auditor brings to a verification, all of it read before the ledger is: what cannot be read is a wrong command line (64) and says nothing about the ledger.
/// </summary>
internal sealed class TrustInputs : IDisposable
{
    private readonly List<KnownHead> heads = [];
    private readonly List<VerifyInput> files = [];

    private TrustInputs()
    {
    }

    public IReadOnlyList<KnownHead> Heads => heads;

    public List<(string File, Disclosure Disclosure)> Disclosures { get; } = [];

    public TlogPolicy? Policy { get; private set; }

    public WitnessAudit? Witness { get; private set; }

    /// <summary>The files and their SHA-256, for the report.</summary>
    public IReadOnlyList<VerifyInput> Files => files;

    public static bool TryRead(VerifyRequest request, out TrustInputs inputs, out string failure)
    {
        inputs = new TrustInputs();
        if (inputs.ReadHeads(request.KnownHeads, out failure) && inputs.ReadDisclosures(request.Disclosed, out failure) && inputs.ReadPolicy(request.Policy, out failure) && inputs.OpenWitness(request.Cosign, out failure))
        {
            return true;
        }

        inputs.Dispose();
        return false;
    }

    public void Dispose() => Witness?.Dispose();

    private bool ReadHeads(IReadOnlyList<string> paths, out string failure)
    {
        foreach (string path in paths)
        {
            if (!KnownHead.TryRead(path, out var head, out string why))
            {
                failure = $"the known head '{path}' cannot be used: {why}";
                return false;
            }

            heads.Add(head);
            files.Add(new VerifyInput(head.File, head.Sha256));
        }

        failure = "";
        return true;
    }

    private bool ReadDisclosures(IReadOnlyList<string> paths, out string failure)
    {
        failure = "";
        foreach (string path in paths)
        {
            string why;
            try
            {
                byte[] bytes = File.ReadAllBytes(path);
                if (Disclosure.Parse(bytes, out why) is { } disclosure)
                {
                    Disclosures.Add((path, disclosure));
                    files.Add(new VerifyInput(path, LedgerFormat.HashText(SHA256.HashData(bytes))));
                    continue;
                }
            }
            catch (Exception e) when (e is IOException or UnauthorizedAccessException)
            {
                why = e.Message;
            }

            failure = $"the disclosure '{path}' cannot be used: {why}";
            return false;
        }

        return true;
    }

    private bool ReadPolicy(string? path, out string failure)
    {
        failure = "";
        if (path is null)
        {
            return true;
        }

        string why;
        try
        {
            byte[] bytes = HeadStore.ReadNote(path);
            if (TlogPolicy.TryParse(bytes, out var policy, out why))
            {
                Policy = policy;
                files.Add(new VerifyInput(path, LedgerFormat.HashText(SHA256.HashData(bytes))));
                return true;
            }
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            why = e.Message;
        }

        failure = $"the policy '{path}' cannot be used: {why}";
        return false;
    }

    private bool OpenWitness(string? path, out string failure)
    {
        failure = "";
        try
        {
            Witness = path is null ? null : new WitnessAudit(path);
            return true;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or WitnessStateException)
        {
            failure = $"the witness in '{path}' cannot be used: {e.Message}";
            return false;
        }
    }
}
