using Evident.Platform;

namespace Evident.Vault;

/// <summary>
/// The pack and wraps files that are being appended to. Used by the writer thread only. Wraps wait in memory until their bodies are on
/// stable storage, so no wrap on disk ever points at a body that is not there; a crash leaves bodies without wraps (orphans), which
/// nothing can open.
/// </summary>
internal sealed class PackWriter(string directory, Action<string> step) : IDisposable
{
    private const int KeptOpen = 4;

    private readonly Dictionary<PackName, OpenPack> open = [];
    private readonly List<OpenPack> touched = [];
    private readonly Lock lengths = new(); // Status asks from other threads
    private long syncs;

    public void Append(IReadOnlyList<SealedRecord> records)
    {
        try
        {
            for (int i = 0; i < records.Count; i++)
            {
                SealedRecord record = records[i];
                OpenPack pack = Get(record.Pack);
                if (!pack.Touched)
                {
                    pack.Touched = true;
                    touched.Add(pack);
                }

                pack.Append(record.Body.Span, record.Wrap.Span);
            }
        }
        catch (PosixException e) when (IsFullDisk(e))
        {
            throw RolledBack(e);
        }
    }

    /// <summary>Everything appended so far is on stable storage when this returns.</summary>
    public void Sync()
    {
        try
        {
            foreach (OpenPack pack in touched)
            {
                pack.FlushBodies();
            }

            foreach (OpenPack pack in touched)
            {
                step("pack.sync");
                pack.SyncBodies();
            }

            // A crash before this line: orphan ciphertext. After it: wraps that lead to durable bodies, acknowledged by nobody yet.
            foreach (OpenPack pack in touched)
            {
                step("wraps.write");
                pack.WriteWraps();
            }

            foreach (OpenPack pack in touched)
            {
                step("wraps.sync");
                pack.SyncWraps();
            }
        }
        catch (PosixException e) when (IsFullDisk(e))
        {
            throw RolledBack(e);
        }

        lock (lengths)
        {
            foreach (OpenPack pack in touched)
            {
                pack.Settle();
                pack.LastSync = syncs;
            }
        }

        touched.Clear();
        syncs++;
        while (open.Count > KeptOpen)
        {
            CloseLeastUsed();
        }
    }

    /// <summary>Length of the pack that wraps may account for; the file's own where nothing is being appended.</summary>
    public long? DurablePackLength(PackName name)
    {
        lock (lengths)
        {
            return open.TryGetValue(name, out OpenPack? pack) ? pack.DurablePackLength : null;
        }
    }

    /// <summary>Length of the wraps file that will not be taken back; null where nothing is being appended.</summary>
    public long? DurableWrapsLength(PackName name)
    {
        lock (lengths)
        {
            return open.TryGetValue(name, out OpenPack? pack) ? pack.DurableWrapsLength : null;
        }
    }

    /// <summary>Closes the pack if it is open and removes both files; what removed the keys came before.</summary>
    public void Remove(PackName name)
    {
        lock (lengths)
        {
            if (open.Remove(name, out OpenPack? pack))
            {
                touched.Remove(pack);
                pack.Dispose();
            }
        }

        step("pack.remove");
        DurableDirectory.Remove(name.Wraps(directory));
        DurableDirectory.Remove(name.Pack(directory));
    }

    public void Dispose()
    {
        foreach (OpenPack pack in open.Values)
        {
            pack.Dispose();
        }

        open.Clear();
        touched.Clear();
    }

    private static bool IsFullDisk(PosixException e) => e.IsDiskFull && e.Operation == "write";

    /// <summary>
    /// A write that found no room has changed nothing that counts: both files are cut back to what the last Sync left, and the batch is
    /// refused. (A sync that finds no room is another matter: the kernel may have dropped pages, and the vault is poisoned.)
    /// </summary>
    private VaultException RolledBack(PosixException cause)
    {
        foreach (OpenPack pack in touched)
        {
            pack.RollBack();
        }

        touched.Clear();
        return new VaultException(
            VaultErrorKind.DiskFull,
            $"Appending payloads to '{cause.Path}' failed: no space left. The payloads since the last sync were not kept. Free some space.", cause);
    }

    private OpenPack Get(PackName name)
    {
        if (!open.TryGetValue(name, out OpenPack? pack))
        {
            pack = OpenPack.Open(directory, name);
            lock (lengths)
            {
                open.Add(name, pack);
            }
        }

        return pack;
    }

    /// <summary>Days pass; a pack that is needed once more is simply opened again.</summary>
    private void CloseLeastUsed()
    {
        PackName name = open.MinBy(static pair => pair.Value.LastSync).Key;
        lock (lengths)
        {
            open.Remove(name, out OpenPack? pack);
            pack!.Dispose();
        }
    }
}
