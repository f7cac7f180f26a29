"""What a zone of a grid may be called: a country, or a part of one behind its code, as in US-CAL-CISO or SE-SE3."""

from __future__ import annotations

import difflib

# ISO 3166-1, alpha-2 and alpha-3 of each country, one behind the other.
_CODES = (
    "AFAFG AXALA ALALB DZDZA ASASM ADAND AOAGO AIAIA AQATA AGATG ARARG AMARM AWABW AUAUS ATAUT AZAZE BSBHS BHBHR "
    "BDBGD BBBRB BYBLR BEBEL BZBLZ BJBEN BMBMU BTBTN BOBOL BQBES BABIH BWBWA BVBVT BRBRA IOIOT BNBRN BGBGR BFBFA "
    "BIBDI CVCPV KHKHM CMCMR CACAN KYCYM CFCAF TDTCD CLCHL CNCHN CXCXR CCCCK COCOL KMCOM CGCOG CDCOD CKCOK CRCRI "
    "CICIV HRHRV CUCUB CWCUW CYCYP CZCZE DKDNK DJDJI DMDMA DODOM ECECU EGEGY SVSLV GQGNQ ERERI EEEST SZSWZ ETETH "
    "FKFLK FOFRO FJFJI FIFIN FRFRA GFGUF PFPYF TFATF GAGAB GMGMB GEGEO DEDEU GHGHA GIGIB GRGRC GLGRL GDGRD GPGLP "
    "GUGUM GTGTM GGGGY GNGIN GWGNB GYGUY HTHTI HMHMD VAVAT HNHND HKHKG HUHUN ISISL ININD IDIDN IRIRN IQIRQ IEIRL "
    "IMIMN ILISR ITITA JMJAM JPJPN JEJEY JOJOR KZKAZ KEKEN KIKIR KPPRK KRKOR KWKWT KGKGZ LALAO LVLVA LBLBN LSLSO "
    "LRLBR LYLBY LILIE LTLTU LULUX MOMAC MGMDG MWMWI MYMYS MVMDV MLMLI MTMLT MHMHL MQMTQ MRMRT MUMUS YTMYT MXMEX "
    "FMFSM MDMDA MCMCO MNMNG MEMNE MSMSR MAMAR MZMOZ MMMMR NANAM NRNRU NPNPL NLNLD NCNCL NZNZL NINIC NENER NGNGA "
    "NUNIU NFNFK MKMKD MPMNP NONOR OMOMN PKPAK PWPLW PSPSE PAPAN PGPNG PYPRY PEPER PHPHL PNPCN PLPOL PTPRT PRPRI "
    "QAQAT REREU ROROU RURUS RWRWA BLBLM SHSHN KNKNA LCLCA MFMAF PMSPM VCVCT WSWSM SMSMR STSTP SASAU SNSEN RSSRB "
    "SCSYC SLSLE SGSGP SXSXM SKSVK SISVN SBSLB SOSOM ZAZAF GSSGS SSSSD ESESP LKLKA SDSDN SRSUR SJSJM SESWE CHCHE "
    "SYSYR TWTWN TJTJK TZTZA THTHA TLTLS TGTGO TKTKL TOTON TTTTO TNTUN TRTUR TMTKM TCTCA TVTUV UGUGA UAUKR AEARE "
    "GBGBR USUSA UMUMI UYURY UZUZB VUVUT VEVEN VNVNM VGVGB VIVIR WFWLF EHESH YEYEM ZMZMB ZWZWE "
    "XKXKX"  # Kosovo, by custom
)
ALPHA3 = {codes[:2]: codes[2:] for codes in _CODES.split()}
ALPHA2 = {three: two for two, three in ALPHA3.items()}
_MORE = frozenset({"EU", "UK", "EL", "WORLD"})  # unions, and codes that publishers use beside ISO's


def is_zone(name: str) -> bool:
    """Whether a zone can be called so.

    >>> [is_zone(name) for name in ("DE", "US-CAL-CISO", "se-se3", "DEU", "Atlantis", "XX", "")]
    [True, True, True, True, False, False, False]
    """
    country = name.strip().upper().partition("-")[0]
    return country in ALPHA3 or country in ALPHA2 or country in _MORE


def also_called(name: str) -> str:
    """The other code of a country, of two letters or of three; empty if there is none.

    >>> also_called("DE"), also_called("DEU"), also_called("US-CAL-CISO")
    ('DEU', 'DE', '')
    """
    code = name.strip().upper()
    return ALPHA3.get(code) or ALPHA2.get(code) or ""


def near_zones(name: str, most: int = 5) -> list[str]:
    """Codes of countries that are written nearly so."""
    country = name.strip().upper().partition("-")[0]
    known = ALPHA3 if len(country) <= 2 else ALPHA2
    return difflib.get_close_matches(country, [*known, *_MORE], most, 0.4) or sorted(known)[:most]
