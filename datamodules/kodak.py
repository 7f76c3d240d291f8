"""The 24 photographs of the Kodak Lossless True Color Image Suite."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from quinr_pl.datamodules.coordinate_datamodule import CoordinateDataModule
from quinr_pl.datamodules.data_root import ENVIRONMENT_VARIABLE, data_root
from quinr_pl.datamodules.download import download
from quinr_pl.datamodules.picture import read_picture
from quinr_pl.errors import QuinrError
from quinr_pl.signals import Signal, image_spec
from quinr_pl.user_cache import cache_root

MIRROR = "https://r0k.us/graphics/kodak/kodak"
"""The public mirror that image compression papers point to."""

# Digests of the files of that mirror as several public projects pin them; those of 02, 05, 08, 15, 20 and 23
# were also computed here from the images themselves.
SHA256 = {
    "kodim01": "a56e27cbf5f843c048b6af1d6e090760e9c92fadba88b7dee0205918a37523bd",
    "kodim02": "4f4b74a79237e311d72cad958237b5f7088d8bce1c82305ebefe1a70e3022dfd",
    "kodim03": "e25ca1ff2f0c0cb5fdfd5f9b0a0bb21ac4c3de3c84a67f35b09a85d3306249db",
    "kodim04": "e3b946107c5d3441c022f678d0c3caf1e224d81b1604ba840a4f88e562de61aa",
    "kodim05": "10349e963c5c813d327852f82c1795fa4148d69fedffc4c589bee458e3ac3d53",
    "kodim06": "363510303b715d4cbc384e1ce227e466b613a09e1b71ae985882bf8e7fbd9b18",
    "kodim07": "b77d3f006f42414bb242222e0482e750c0fb9e5ee8d4bed2f6f11c5605fe54a4",
    "kodim08": "ba23983c76b4832ee0e8af0592664756841a16779acd69f792e268fb6d13d6e7",
    "kodim09": "6a4361c2fc194feb4edaa9f9a4a0620fb9943e460ac7fdf037fb0f6dd6607a7d",
    "kodim10": "9dfb70f5867c29ff9ed6313683f19b3d867849e40fbc0c4c54a4a89df341cf23",
    "kodim11": "7936814b58b5387fce2e4e2488b4ec830dadd95fa9520f358ddb30990b50f2b6",
    "kodim12": "d78c37c2f04f23761ed2367dd77e2db584ddd4c3950833fecf89f199a8126980",
    "kodim13": "bc34a3ce58dea09dce1704c997171602de90cb34d0c8503a988b77f473d39b08",
    "kodim14": "55a94550ff18f3246c4074fd32b77b0c74447c26b6ad274d564d999c0450ba6e",
    "kodim15": "7538cbb80cb9103606c48b806eae57d56c885c7f90b9b3be70a41160f9cbb683",
    "kodim16": "a89c7268ccd4718ba424a99fc4643c572cf692ca6eae887185ceb4e9f11d2e54",
    "kodim17": "37afcc89fbdcb76d9518e04b2fc011027e2f4cd14b3b2f83cefd721641a47c5b",
    "kodim18": "1a9258c365988961d87a0598725b609139c303ad48a5aad6c503c3b1a87849aa",
    "kodim19": "b7450b264b1b0a411390d8931b112c27905a992520fc90569dc4b920aa32bbdc",
    "kodim20": "3b46c71e3b92a563820ba32936be8330c586c41f938efd94be938386aae4328a",
    "kodim21": "ac958597c82073f6bb65129c68f72b651db5b9efd82e11547d07350214bc268b",
    "kodim22": "1cee58eb1f2d9c7ebb254d208a03c783ce6cf2c4d8c2cf45e235dd23b4ce1b29",
    "kodim23": "e3111a2fd4da24af15d6459ef9eacfe54106b38e27b4a21821b75c3f5d2d5baf",
    "kodim24": "1071c68372cc5a01435c2c225a5cf7d4bb803846ec08bb6b3d6721b156d7cb96",
}
"""SHA-256 of each image's file."""

_REMEDY = (
    f"give the folder of the images by --data.root or {ENVIRONMENT_VARIABLE}, or run sample.yaml, which "
    "needs no data"
)


class KodakDataModule(CoordinateDataModule):
    """One photograph of the Kodak suite, 768 x 512 or 512 x 768 RGB.

    The image is ``kodak/kodimNN.png`` or ``kodimNN.png`` below the root. Where it is absent it is fetched
    there, or to the user's cache where no root is given.

    Args:
        image: Name, "kodim01" to "kodim24".
        root: Folder of the data; the environment variable ``QUINR_DATA`` when left out.
        download: Whether an absent image may be fetched.
        mirror: Address of the folder that it is fetched from.
        **blocks: Further arguments of `CoordinateDataModule`.

    Raises:
        QuinrError: If there is no image of that name.
    """

    def __init__(
        self,
        image: str = "kodim02",
        root: str | None = None,
        download: bool = True,
        mirror: str = MIRROR,
        **blocks: Any,
    ) -> None:
        super().__init__(image, **blocks)
        if image not in SHA256:
            raise QuinrError(f"--data.image {image}: the Kodak images are kodim01 to kodim24")
        self.image = image
        self.root = root
        self.download = download
        self.mirror = mirror

    @property
    def axes(self) -> int:
        """Rows and columns."""
        return 2

    @property
    def channels(self) -> int:
        """All of them are RGB."""
        return 3

    def prepare_data(self) -> None:
        """Fetch the image where it is absent.

        Raises:
            QuinrError: If it is absent and cannot or may not be fetched.
        """
        # What the user keeps is the user's; what was fetched into the cache may have been damaged since.
        if self._present() is not None and (data_root(self.root) is not None or not self.download):
            return
        target = self._folder() / f"{self.image}.png"
        if not self.download:
            raise QuinrError(f"{target}: no such file, and --data.download is false; {_REMEDY}")
        download(f"{self.mirror}/{target.name}", target, SHA256[self.image], _REMEDY)

    def read(self) -> Signal:
        """Read the image.

        Raises:
            QuinrError: If it is absent or damaged.
        """
        path = self._present()
        if path is None:
            raise QuinrError(f"{self._folder() / self.image}.png: no such file; {_REMEDY}")
        values = read_picture(path)
        return Signal(values, image_spec(values))

    def _folder(self) -> Path:
        return (data_root(self.root) or cache_root()) / "kodak"

    def _present(self) -> Path | None:
        for folder in (self._folder(), self._folder().parent):
            if (folder / f"{self.image}.png").is_file():
                return folder / f"{self.image}.png"
        return None
